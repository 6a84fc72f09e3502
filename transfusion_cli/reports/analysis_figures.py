"""Figures of ``transfusion analyze``, as matplotlib ``Figure`` objects, from the tables it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.reports.figures import COLORS, FONT, STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

TITLES = {
    "cca": "Mean CCA",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "Linear CKA, unbiased",
    "cka_biased": "Linear CKA, biased",
    "procrustes": "Procrustes",
    "loss": "Loss",
    "auroc": "AUROC",
    "accuracy": "Accuracy",
}
FILTERS, FILTER_COLUMNS = 30, 6
"""As many filters of a first layer as the paper shows, five rows of six."""


def similarity_figure(frame: DataFrame, measure: str, title: str = "") -> Figure:
    """Similarity layer by layer, a line for each two groups of networks, above the chance level.

    Args:
        frame: rows of ``layer_similarity`` for layers of the same name, with a column ``pair`` (what is compared).
        measure: which to draw.
        title: of the figure.
    """
    rows = frame[frame["measure"] == measure]
    layers = list(dict.fromkeys(rows["layer_a"]))
    figure = _figure(max(5.0, 1.6 + 0.75 * len(layers)) + 2.4, 3.8)
    axes = _axes(figure, ylabel=TITLES.get(measure, measure), title=title)
    chance = rows.pivot_table("chance", "layer_a", "pair", sort=False).reindex(layers)
    shared = bool((chance.max(axis=1) - chance.min(axis=1) < 1e-3).all())
    if shared:
        axes.fill_between(layers, chance.max(axis=1).clip(lower=0), color="0.88", linewidth=0, label="chance", zorder=0)
    for (pair, part), (color, line) in zip(rows.groupby("pair", sort=False), _styles(), strict=False):
        by_layer = part.groupby("layer_a", sort=False)["value"].agg(["mean", "min", "max", "size"]).reindex(layers)
        count = int(by_layer["size"].max())
        label = f"{pair}  ({count} pairs)" if count > 1 else str(pair)
        axes.plot(layers, by_layer["mean"], color=color, linestyle=line, marker="o", markersize=4.5, label=label)
        if count > 1:
            axes.fill_between(layers, by_layer["min"], by_layer["max"], color=color, alpha=0.18, linewidth=0)
        if not shared:
            axes.plot(layers, chance[pair], color=color, linewidth=1, linestyle=":", label=f"chance, {pair}")
    _layer_axis(axes, layers)
    axes.set_ylim(min(0.0, float(rows["value"].min())) - 0.01, 1.02)
    _legend(figure)
    return figure


def top_layers_figure(frame: DataFrame, measure: str) -> Figure:
    """Similarity of the top layers, a dot for each two networks, a violin where there are many.

    Args:
        frame: rows with ``pair``, ``value`` and ``chance``, one for each two networks (see ``top_layers``).
        measure: what the values are.
    """
    groups = list(frame.groupby("pair", sort=False))
    figure = _figure(1.9 + 1.5 * len(groups), 4)
    axes = _axes(figure, ylabel=f"{TITLES.get(measure, measure)} of the top two stages")
    for position, ((_, part), color) in enumerate(zip(groups, _cycle(COLORS), strict=False)):
        values = part["value"].dropna().to_numpy()
        if len(values) >= 4 and np.ptp(values) > 0:
            violin: dict[str, Any] = axes.violinplot(values, [position], widths=0.7, showextrema=False)
            for body in violin["bodies"]:
                body.set(facecolor=color, alpha=0.3, linewidth=0)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(len(values))
        axes.plot(position + spread, values, "o", color=color, markersize=5, alpha=0.85)
        axes.hlines(part["chance"].mean(), position - 0.35, position + 0.35, color="0.4", linestyles=":")
    axes.plot([], [], color="0.4", linestyle=":", label="chance")
    labels = [str(pair).replace(" × ", "\n× ").replace(" to ", "\nto ") for pair, _ in groups]
    axes.set_xticks(range(len(groups)), labels, fontsize=FONT)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(fontsize=FONT, frameon=False)
    return figure


def start_and_end_figure(frame: DataFrame, measure: str) -> Figure:
    """Similarity of two networks after training against that before it, a dot for each two networks and layer.

    Args:
        frame: rows with ``layer``, ``pair``, ``start`` and ``end``.
        measure: what the values are.
    """
    figure = _figure(6.4, 4.4)
    axes = _axes(figure, ylabel=f"{TITLES.get(measure, measure)} after training")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    markers = dict(zip(dict.fromkeys(frame["pair"]), _cycle("os^Dv"), strict=False))
    for (layer, of_layer), color in zip(frame.groupby("layer", sort=False), _cycle(COLORS), strict=False):
        for pair, part in of_layer.groupby("pair", sort=False):
            axes.plot(part["start"], part["end"], markers[pair], color=color, markersize=5, alpha=0.8)
        axes.plot([], [], "o", color=color, label=layer)
    for pair, marker in markers.items():
        axes.plot([], [], marker, color="0.4", label=pair)
    axes.set_xlabel(f"{TITLES.get(measure, measure)} before training", fontsize=FONT)
    _legend(figure)
    return figure


def matrix_figure(frame: DataFrame, measure: str) -> Figure:
    """Every layer of one network against every layer of another.

    Args:
        frame: rows of ``layer_similarity`` for two networks.
        measure: which to draw.
    """
    rows = frame[frame["measure"] == measure]
    table = rows.pivot_table("value", "layer_a", "layer_b", sort=False, dropna=False)
    table = table.reindex(index=list(dict.fromkeys(rows["layer_a"])), columns=list(dict.fromkeys(rows["layer_b"])))
    figure = _figure(2.8 + 0.55 * len(table.columns), 1.8 + 0.42 * len(table))
    axes = figure.add_subplot()
    image = axes.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    figure.colorbar(image, label=TITLES.get(measure, measure)).outline.set_visible(False)
    axes.set_xticks(range(len(table.columns)), table.columns, rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(table)), table.index, fontsize=FONT)
    axes.set(xlabel=rows["network_b"].iloc[0], ylabel=rows["network_a"].iloc[0])
    if table.size <= 144:
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            color = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=FONT - 2, color=color)
    return figure


def filters_figure(filters: Mapping[str, Tensor], captions: Mapping[str, str]) -> Figure:
    """First-layer filters of each network, the same ones in the same places.

    Args:
        filters: grey and contrast-stretched, (filters, H, W), by network.
        captions: a line under each network's name.
    """
    across = min(4, len(filters))
    down = -(-len(filters) // across)
    figure = _figure(3.0 * across, 3.0 * down)
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


def movement_figure(frame: DataFrame) -> Figure:
    """Relative L2 movement by stage: of weights, and of batch normalisation's scale and shift.

    Args:
        frame: rows of ``movement`` with a column ``pair``.
    """
    rows = frame[(frame["level"] == "stage") & (frame["measure"] == "relative_l2")]
    shown = [role for role in ("weight", "scale", "shift") if rows[rows["role"] == role]["value"].notna().any()]
    stages = list(dict.fromkeys(rows["stage"]))
    figure = _figure(2.6 + 3.1 * len(shown), 3.8)
    for position, role in enumerate(shown, start=1):
        axes = _axes(figure, position=(1, len(shown), position), title=role)
        part = rows[rows["role"] == role]
        for (pair, own), (color, line) in zip(part.groupby("pair", sort=False), _styles(), strict=False):
            mean = own.groupby("stage", sort=False)["value"].mean().reindex(stages)
            label = str(pair) if position == 1 else None
            axes.plot(stages, mean, color=color, linestyle=line, marker="o", markersize=4.5, label=label)
        _layer_axis(axes, stages)
        axes.set_ylim(bottom=0)
        if position == 1:
            axes.set_ylabel("Relative L2 distance")
    _legend(figure)
    return figure


def rank_figure(frame: DataFrame) -> Figure:
    """Effective rank of each weight matrix as a share of the greatest it could be.

    Args:
        frame: rows with group, tensor, effective_rank and full_rank.
    """
    tensors = list(dict.fromkeys(frame["tensor"]))
    figure = _figure(max(5.0, 1.6 + 0.24 * len(tensors)) + 2.0, 4.2)
    axes = _axes(figure, ylabel="Effective rank / full rank")
    share = frame.assign(share=frame["effective_rank"] / frame["full_rank"])
    for (group, part), (color, line) in zip(share.groupby("group", sort=False), _styles(), strict=False):
        mean = part.groupby("tensor", sort=False)["share"].mean().reindex(tensors)
        axes.plot(tensors, mean, color=color, linestyle=line, marker="o", markersize=3, label=group)
    _layer_axis(axes, tensors)
    axes.set_ylim(0, 1.02)
    _legend(figure)
    return figure


def barrier_figure(frame: DataFrame, heights: Mapping[str, float]) -> Figure:
    """Loss and AUROC along the straight line between two networks.

    Args:
        frame: rows with pair, alpha, measure and value.
        heights: barrier of the loss by pair.
    """
    shown = [measure for measure in ("loss", "auroc") if frame[frame["measure"] == measure]["value"].notna().any()]
    figure = _figure(2.8 + 3.4 * len(shown), 3.8)
    for position, measure in enumerate(shown, start=1):
        axes = _axes(figure, position=(1, len(shown), position), ylabel=TITLES[measure])
        part = frame[frame["measure"] == measure]
        for (pair, own), (color, line) in zip(part.groupby("pair", sort=False), _styles(), strict=False):
            label = f"{pair}\nbarrier {heights[str(pair)]:.3f}" if position == 1 else None
            axes.plot(own["alpha"], own["value"], color=color, linestyle=line, marker="o", markersize=3.5, label=label)
            ends = own["value"].iloc[[0, -1]]
            axes.plot([0, 1], ends, color=color, linewidth=0.8, linestyle=":")
        axes.set_xlabel("α, from the first network to the second", fontsize=FONT)
    _legend(figure)
    return figure


def robustness_figure(frame: DataFrame, measure: str) -> Figure:
    """What each stage's loss costs, a panel for each network.

    Args:
        frame: rows of ``stage_robustness`` with a column ``network``.
        measure: the metric to draw.
    """
    rows = frame[(frame["measure"] == measure) & (frame["replaced_by"] != "")]
    networks = list(dict.fromkeys(rows["network"]))
    stages = list(dict.fromkeys(rows["stage"]))
    donors = list(dict.fromkeys(rows["replaced_by"]))
    figure = _figure(max(4.0, 0.75 * len(stages)) * min(3, len(networks)) + 2, 3.4 * -(-len(networks) // 3))
    for position, network in enumerate(networks, start=1):
        grid = (-(-len(networks) // 3), min(3, len(networks)), position)
        axes = _axes(figure, position=grid, title=network, ylabel=f"Drop in {TITLES.get(measure, measure)}")
        for number, (donor, color) in enumerate(zip(donors, COLORS, strict=False)):
            own = rows[(rows["network"] == network) & (rows["replaced_by"] == donor)].set_index("stage")["drop"]
            at = np.arange(len(stages)) + 0.38 * (number - (len(donors) - 1) / 2)
            label = donor if position == 1 else None
            axes.bar(at, own.reindex(stages).fillna(0).to_numpy(), width=0.36, color=color, label=label)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_ylim(min(0.0, rows["drop"].min()) * 1.05, max(0.02, rows["drop"].max()) * 1.05)
        _layer_axis(axes, stages, positions=True)
    _legend(figure)
    return figure


def neighbours_figure(frame: DataFrame, measure: str) -> Figure:
    """What nearest neighbours read off each layer.

    Args:
        frame: rows with group, layer, measure, value and chance.
        measure: the metric to draw.
    """
    rows = frame[frame["measure"] == measure]
    layers = list(dict.fromkeys(rows["layer"]))
    figure = _figure(max(5.0, 1.6 + 0.75 * len(layers)) + 2.0, 3.8)
    axes = _axes(figure, ylabel=f"{TITLES.get(measure, measure)} of nearest neighbours")
    axes.axhline(rows["chance"].mean(), color="0.4", linewidth=1, linestyle=":", label="chance")
    for (group, part), (color, line) in zip(rows.groupby("group", sort=False), _styles(), strict=False):
        mean = part.groupby("layer", sort=False)["value"].mean().reindex(layers)
        axes.plot(layers, mean, color=color, linestyle=line, marker="o", markersize=4.5, label=group)
    _layer_axis(axes, layers)
    _legend(figure)
    return figure


def _figure(width: float, height: float) -> Figure:
    from transfusion_cli.figure import Figure

    return Figure(figsize=(min(width, 16), height), dpi=110, layout="constrained")


def _axes(figure: Figure, position: tuple[int, int, int] = (1, 1, 1), title: str = "", ylabel: str = "") -> Axes:
    axes = figure.add_subplot(*position)
    axes.set_title(title, fontsize=FONT + 1)
    axes.set_ylabel(ylabel)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _layer_axis(axes: Axes, names: Sequence[str], positions: bool = False) -> None:
    """Names of layers under their places: slanted where they are long, some left out where they are many."""
    step = -(-len(names) // 40)
    places = list(range(0, len(names), step))
    slant = sum(map(len, names)) > 45
    axes.set_xticks(places, [names[place] for place in places], fontsize=FONT - (1 if slant else 0))
    if slant:
        for label in axes.get_xticklabels():
            label.set(rotation=90 if len(names) > 20 else 35, ha="right", rotation_mode="anchor")
    if not positions:
        axes.set_xlim(-0.3, len(names) - 0.7)


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside right upper", fontsize=FONT, frameon=False)


def _styles() -> Iterator[tuple[str, str]]:
    return _cycle(STYLES)


def _cycle(values: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from values
