"""First-layer filters: for the eye, and against Gabor's."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.analysis.base import Analysis, Findings
from transfusion_cli.analysis.networks import Network
from transfusion_cli.analysis.style import FONT, new_figure
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.figure import Figure
from transfusion_cli.models.facts import first_convolution
from transfusion_cli.models.gabor import gabor_bank

BANK = 64
"""Gabor filters to compare with: four frequencies times sixteen orientations."""

FILTERS, FILTER_COLUMNS = 30, 6
"""As many filters of a first layer as the paper shows, five rows of six."""


class Filters(Analysis):
    """First-layer filters, and how much they are like Gabor's."""

    name = "filters"

    def refuses(self, network: Network) -> str:
        """Networks for volumes."""
        return "" if network.task.dims == 2 else f"filters draws filters of images, and {network.name} is for volumes"

    def run(self, bench: Workbench) -> Findings:
        """Look, beside what white noise would reach."""
        rows: list[dict[str, Any]] = []
        grids, captions = {}, {}
        lines = ["First-layer filters: best cosine with a Gabor filter, mean over filters (chance: white noise)"]
        for network in bench.networks:
            bank = grey_filters(network.task.network)
            likeness, chance = gabor_likeness(bank), chance_likeness(*bank.shape[1:])
            grids[network.name] = stretched(bank)
            captions[network.name] = f"Gabor {likeness.mean():.2f} (chance {chance:.2f})"
            lines.append(f"  {network.name:<24} {likeness.mean():.3f} ({chance:.3f})")
            for number, value in enumerate(likeness.tolist()):
                rows.append({"network": network.name, "filter": number, "gabor": value, "chance": chance})
        figures = {"first-layer filters": filters_figure(grids, captions)}
        return Findings({"filters": rows}, figures, "\n".join(lines))


def grey_filters(network: nn.Module) -> Tensor:
    """The first convolution's filters, averaged over their input channels: (filters, H, W), float32.

    Raises:
        UserError: the network has no single first convolution.
    """
    weight = first_convolution(network)[1].weight
    return weight.detach().float().mean(dim=1).cpu()


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
    flat = F.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
    return (flat @ bank.T).abs().amax(dim=1).clamp(max=1.0)


@cache
def chance_likeness(height: int, width: int, draws: int = 4096) -> float:
    """The mean ``gabor_likeness`` of white noise, by simulation."""
    noise = torch.randn(draws, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return float(gabor_likeness(noise).mean())


def filters_figure(filters: Mapping[str, Tensor], captions: Mapping[str, str]) -> Figure:
    """First-layer filters of each network, the same ones in the same places.

    Args:
        filters: grey and contrast-stretched, (filters, H, W), by network.
        captions: a line under each network's name.
    """
    across = min(4, len(filters))
    down = -(-len(filters) // across)
    figure = new_figure(3.0 * across, 3.0 * down)
    for position, (name, bank) in enumerate(filters.items(), start=1):
        axes = figure.add_subplot(down, across, position)
        columns = FILTER_COLUMNS if len(bank) >= FILTERS else math.ceil(math.sqrt(len(bank)))
        axes.imshow(mosaic(bank[:FILTERS], columns).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"{name}\n{captions[name]}", fontsize=FONT)
        axes.set_axis_off()
    return figure


def mosaic(images: Tensor, columns: int) -> Tensor:
    """Images (N, H, W) in 0..1 side by side, with white lines between them."""
    rows = -(-len(images) // columns)
    scale = max(1, 14 // images.shape[1])  # so that the lines are thin beside small filters
    images = images.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    gap = max(2, images.shape[1] // 7)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    sheet = torch.ones(rows * height - gap, columns * width - gap)
    for number, image in enumerate(images):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height - gap, left : left + width - gap] = image
    return sheet
