"""First-layer filters: for the eye, and against Gabor's."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from transfusion_cli.models.facts import first_convolution
from transfusion_cli.models.gabor import gabor_bank

BANK = 64
"""Gabor filters to compare with: four frequencies times sixteen orientations."""


def grey_filters(network: nn.Module) -> Tensor:
    """The first convolution's filters, averaged over their input channels: (filters, H, W), float32.

    Raises:
        UserError: the network has no single first convolution.
    """
    return first_convolution(network)[1].weight.detach().float().mean(dim=1).cpu()


def stretched(filters: Tensor) -> Tensor:
    """Each filter's contrast stretched to 0..1; a constant one becomes 0.5.

    Args:
        filters: (filters, H, W).
    """
    low, high = filters.amin(dim=(1, 2), keepdim=True), filters.amax(dim=(1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (filters - low) / span.clamp_min(torch.finfo(filters.dtype).tiny), 0.5)


def gabor_likeness(filters: Tensor) -> Tensor:
    """The best absolute cosine of each filter, its mean taken off, with the bank of even Gabor filters: (filters,).

    0 for a constant filter. To be read beside ``chance_likeness``: a small kernel has few dimensions, and noise comes
    close to one Gabor filter or another.

    Args:
        filters: (filters, H, W).
    """
    bank = gabor_bank(BANK, (filters.shape[1], filters.shape[2])).flatten(1)
    flat = filters.double().flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (flat @ bank.T).abs().amax(dim=1).clamp(max=1.0)


@cache
def chance_likeness(height: int, width: int, draws: int = 4096) -> float:
    """The mean ``gabor_likeness`` of white noise, by simulation."""
    noise = torch.randn(draws, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return float(gabor_likeness(noise).mean())
