"""Gabor filters, the textbook's first layer."""

import math

import torch
from torch import Tensor

FREQUENCIES = (0.1, 0.2, 0.3, 0.4)
"""Cycles per pixel: about those that can be read off the paper's figure of its 64 filters."""

SPREAD = 1.5
"""Standard deviation of the envelope of a 7 x 7 filter, in pixels; it grows with the kernel."""


def gabor_bank(filters: int, size: tuple[int, int]) -> Tensor:
    """Even Gabor filters of all frequencies and evenly spread orientations, each of mean 0 and norm 1.

    A cosine wave under a round Gaussian envelope (Daugman 1985). Sixty-four filters are four frequencies times sixteen
    orientations k pi / 16, as in Raghu et al. 2019; low frequencies come first.

    Args:
        filters: how many; orientations are as many as it takes.
        size: height and width of the kernels.

    Returns:
        (filters, H, W), float64.
    """
    orientations = math.ceil(filters / len(FREQUENCIES))
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    spread = SPREAD * max(size) / 7
    envelope = torch.exp(-(x**2 + y**2) / (2 * spread**2))
    bank = []
    for frequency in FREQUENCIES:
        for k in range(orientations):
            angle = math.pi * k / orientations
            along = x * math.cos(angle) + y * math.sin(angle)
            wave = envelope * torch.cos(2 * math.pi * frequency * along)
            wave = wave - wave.mean()
            bank.append(wave / wave.norm().clamp_min(1e-12))
    return torch.stack(bank[:filters])
