"""How far weights have moved, tensor by tensor and stage by stage, and how many directions they use."""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor, nn

from transfusion_cli.analysis import tables
from transfusion_cli.analysis.base import Analysis, Findings
from transfusion_cli.analysis.measures.effective_rank import effective_rank
from transfusion_cli.analysis.networks import Network
from transfusion_cli.analysis.style import draw_legend, new_axes, new_figure, put_layers, styles
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.figure import Figure
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.stages import stage_of_tensors


class Weights(Analysis):
    """Movement of tensors and stages between each two networks, and effective ranks of each."""

    name = "weights"

    def refuses(self, network: Network) -> str:
        """Nothing: every network has weights."""
        return ""

    def run(self, bench: Workbench) -> Findings:
        """Measure; the figure of movement keeps to before and after training where there is such a pair."""
        ranks = [row for network in bench.networks for row in _ranks(network.name, network.task.network)]
        ranked = DataFrame(ranks)
        figures = {"effective rank": rank_figure(ranked.assign(group=ranked["network"].map(bench.groups)))}
        share = (ranked["effective_rank"] / ranked["full_rank"]).groupby(ranked["network"], sort=False).mean()
        lines = ["Effective rank of weight matrices, mean share of full rank"]
        lines += [f"  {name:<24} {value:.3f}" for name, value in share.items()]
        moves: list[dict[str, Any]] = []
        for a, b in combinations(bench.networks, 2):
            names = {"network_a": a.name, "network_b": b.name}
            moves += [{**names, **row} for row in movement(a.task.network, b.task.network)]
        if moves:
            frame = bench.paired(moves)
            trained = frame[frame["before_after"]]
            figures["movement by stage"] = movement_figure(trained if len(trained) else frame)
            part = frame.query("level == 'stage' and role == 'weight' and measure == 'relative_l2'")
            table = part.pivot_table("value", "pair", "stage", sort=False).map("{:.3f}".format)
            lines = ["Relative L2 distance of weights by stage", tables.text(table), "", *lines]
        return Findings({"weights": moves, "effective_rank": ranks}, figures, "\n".join(lines))


def roles(network: nn.Module) -> dict[str, str]:
    """Name of each floating-point tensor to what it is.

    ``scale``, ``shift``, ``running mean`` and ``running variance`` of batch normalisation; ``weight`` with two
    dimensions or more, ``bias`` with fewer, for everything else.
    """
    parts = {"weight": "scale", "bias": "shift", "running_mean": "running mean", "running_var": "running variance"}
    normalising = batch_norm_layers(network)
    found = {}
    for name, tensor in network.state_dict().items():
        layer, _, part = name.rpartition(".")
        if layer in normalising and part in parts:
            found[name] = parts[part]
        elif tensor.is_floating_point():
            found[name] = "weight" if tensor.ndim >= 2 else "bias"
    return found


def movement(a: nn.Module, b: nn.Module) -> list[dict[str, Any]]:
    """Distance from network ``a`` to network ``b``, a row per tensor or stage, role and measure.

    ``l2`` is |b - a|, ``relative_l2`` that by |a|, ``cosine`` the angle's; NaN where |a| (or |b|) is 0. A stage's rows
    are of all its tensors of one role, and of all its ``parameters``. Tensors that only one network has, or in
    another shape, are left out.

    Returns:
        Rows with level (``tensor`` or ``stage``), stage, name, role, measure, value and elements.
    """
    stage_of, role_of = stage_of_tensors(a), roles(a)
    ours, theirs = a.state_dict(), b.state_dict()
    common = [n for n in stage_of if n in role_of and n in theirs and theirs[n].shape == ours[n].shape]
    sums: dict[tuple[str, str], Tensor] = {}
    rows: list[dict[str, Any]] = []
    for name in common:
        own = _products(ours[name], theirs[name])
        rows += _rows("tensor", stage_of[name], name, role_of[name], own)
        for role in (role_of[name], *([] if role_of[name].startswith("running") else ["parameters"])):
            key = (stage_of[name], role)
            sums[key] = sums.get(key, torch.zeros_like(own)) + own
    order = list(dict.fromkeys(stage_of.values()))
    for (stage, role), total in sorted(sums.items(), key=lambda item: order.index(item[0][0])):
        rows += _rows("stage", stage, stage, role, total)
    return rows


def _products(a: Tensor, b: Tensor) -> Tensor:
    """|a|², |b|², <a, b>, |b - a|² and the number of elements, which add up over tensors."""
    a, b = a.detach().double().cpu().flatten(), b.detach().double().cpu().flatten()
    difference = b - a
    return torch.stack([a @ a, b @ b, a @ b, difference @ difference, torch.tensor(float(len(a)))])


def _rows(level: str, stage: str, name: str, role: str, products: Tensor) -> Iterator[dict[str, Any]]:
    aa, bb, ab, moved, elements = products.tolist()
    values = {
        "l2": math.sqrt(moved),
        "relative_l2": math.sqrt(moved / aa) if aa else math.nan,
        "cosine": min(1.0, max(-1.0, ab / math.sqrt(aa * bb))) if aa and bb else math.nan,
    }
    common = {"level": level, "stage": stage, "name": name, "role": role}
    return ({**common, "measure": m, "value": value, "elements": int(elements)} for m, value in values.items())


def _ranks(name: str, network: nn.Module) -> Iterator[dict[str, Any]]:
    """Rows with network, stage, tensor, effective_rank and full_rank, the greatest it could be."""
    stage_of = stage_of_tensors(network)
    for tensor, matrix in weight_matrices(network).items():
        values = {"effective_rank": effective_rank(matrix), "full_rank": min(matrix.shape)}
        yield {"network": name, "stage": stage_of[tensor], "tensor": tensor, **values}


def weight_matrices(network: nn.Module) -> dict[str, Tensor]:
    """Every weight of two dimensions or more as a matrix, outputs by everything else: (O, I h w) of a convolution."""
    return {name: weight.detach().flatten(1) for name, weight in network.named_parameters() if weight.ndim >= 2}


def movement_figure(frame: DataFrame) -> Figure:
    """Relative L2 movement by stage: of weights, and of batch normalisation's scale and shift.

    Args:
        frame: rows of ``movement`` with a column ``pair``.
    """
    rows = frame[(frame["level"] == "stage") & (frame["measure"] == "relative_l2")]
    shown = [role for role in ("weight", "scale", "shift") if rows[rows["role"] == role]["value"].notna().any()]
    stages = list(dict.fromkeys(rows["stage"]))
    figure = new_figure(2.6 + 3.1 * len(shown), 3.8)
    for position, role in enumerate(shown, start=1):
        ylabel = "Relative L2 distance" if position == 1 else ""
        axes = new_axes(figure, position=(1, len(shown), position), title=role, ylabel=ylabel)
        part = rows[rows["role"] == role]
        for (pair, own), (color, line) in zip(part.groupby("pair", sort=False), styles(), strict=False):
            mean = own.groupby("stage", sort=False)["value"].mean().reindex(stages)
            label = str(pair) if position == 1 else None
            axes.plot(stages, mean, color=color, linestyle=line, marker="o", markersize=4.5, label=label)
        put_layers(axes, stages)
        axes.set_ylim(bottom=0)
    draw_legend(figure)
    return figure


def rank_figure(frame: DataFrame) -> Figure:
    """Effective rank of each weight matrix as a share of the greatest it could be.

    Args:
        frame: rows with group, tensor, effective_rank and full_rank.
    """
    tensors = list(dict.fromkeys(frame["tensor"]))
    figure = new_figure(max(5.0, 1.6 + 0.24 * len(tensors)) + 2.0, 4.2)
    axes = new_axes(figure, ylabel="Effective rank / full rank")
    share = frame.assign(share=frame["effective_rank"] / frame["full_rank"])
    for (group, part), (color, line) in zip(share.groupby("group", sort=False), styles(), strict=False):
        mean = part.groupby("tensor", sort=False)["share"].mean().reindex(tensors)
        axes.plot(tensors, mean, color=color, linestyle=line, marker="o", markersize=3, label=group)
    put_layers(axes, tensors)
    axes.set_ylim(0, 1.02)
    draw_legend(figure)
    return figure
