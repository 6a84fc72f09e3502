"""Nearest neighbours in the space of a layer: what can be read off it without training."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.analysis import tables
from transfusion_cli.analysis.base import Analysis, Findings, natural
from transfusion_cli.analysis.features import Features, collect_features
from transfusion_cli.analysis.scores import auroc_and_accuracy
from transfusion_cli.analysis.style import TITLES, draw_legend, new_axes, new_figure, put_layers, styles
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.figure import Figure
from transfusion_cli.targets import Target

MEASURES = ("accuracy", "auroc")


class NearestNeighbours(Analysis):
    """What nearest neighbours among training images read off each layer."""

    name = "knn"

    def add_flags(self, add: Callable[..., Any]) -> None:
        """How many neighbours, among how many images."""
        add("--neighbours", type=natural, default=10, metavar="K", help="of each image (knn)")
        images = "training images to find neighbours among (knn)"
        add("--reference", type=natural, default=5000, metavar="N", help=images)

    def run(self, bench: Workbench) -> Findings:
        """Look, beside what the frequencies of the classes alone would reach."""
        options, data = bench.options, bench.data
        reference, queries = (
            collect_features(bench.subjects, bench.layers, batches, options.device)
            for batches in (bench.batches("reference", "train", options.reference), bench.batches("queries"))
        )
        rows = neighbour_metrics(reference, queries, data.target, data.class_names, options.neighbours)
        frame = DataFrame(rows)
        frame["group"] = frame["network"].map(bench.groups)
        figures, texts = {}, []
        for measure in MEASURES:
            part = frame[frame["measure"] == measure]
            figures[f"nearest neighbours {measure}"] = neighbours_figure(part, TITLES[measure])
            table = part.pivot_table("value", "network", "layer", sort=False).map("{:.3f}".format)
            chance = f"(chance {part['chance'].mean():.3f})"
            texts.append(f"{TITLES[measure]} of {options.neighbours} nearest neighbours {chance}\n{tables.text(table)}")
        return Findings({"knn": rows}, figures, "\n\n".join(texts))


def neighbour_votes(
    reference: Tensor,
    answers: Tensor,
    queries: Tensor,
    k: int = 10,
    same: tuple[Tensor, Tensor] | None = None,
    chunk: int = 1024,
) -> Tensor:
    """The mean answer of each query's k nearest neighbours by cosine: (M, L).

    Args:
        reference: (N, C).
        answers: (N, L), 0 to 1, NaN where unknown; a query without a known neighbour gets the mean of all.
        queries: (M, C).
        k: neighbours; all of them where there are fewer.
        same: index of the reference samples and of the queries; a sample is no neighbour of its own.
        chunk: queries at a time: memory is chunk x N.
    """
    base = F.normalize(reference.float(), dim=1)
    votes = []
    for start in range(0, len(queries), chunk):
        likeness = F.normalize(queries[start : start + chunk].float(), dim=1) @ base.T
        if same is not None:
            likeness[same[1][start : start + chunk, None] == same[0][None]] = -torch.inf
        nearest = likeness.topk(min(k, len(reference))).indices
        votes.append(answers[nearest].nanmean(dim=1))
    found = torch.cat(votes)
    return torch.where(found.isnan(), answers.nanmean(dim=0), found)


def answer_matrix(target: Target, targets: Tensor, classes: int) -> Tensor:
    """Targets as float64 (N, L), NaN where unknown: the labels, or one column a class.

    Args:
        target: kind of target.
        targets: as the data give them.
        classes: number of class or label names.
    """
    if target in ("binary", "multilabel"):
        return targets.double()
    answers = F.one_hot(targets.clamp_min(0), classes).double()
    answers[targets < 0] = torch.nan
    return answers


def neighbour_metrics(
    reference: Features, queries: Features, target: Target, class_names: Sequence[str], k: int = 10
) -> list[dict[str, Any]]:
    """How well each layer's nearest neighbours answer for the query images.

    The share of neighbours that say yes is the probability. Chance is what the frequencies among the reference images
    alone would reach, with no look at the query.

    Args:
        reference: training images.
        queries: images to answer for; those among the reference are no neighbours of their own.
        target: kind of target.
        class_names: names of the classes or labels.
        k: neighbours.

    Returns:
        Rows with network, layer, measure (``accuracy``, ``auroc``), value, chance, k, n_reference and n.
    """
    answers = answer_matrix(target, reference.targets, len(class_names))
    same = (reference.index, queries.index)
    base = answers.nanmean(dim=0).expand(len(queries.targets), -1)
    chance = auroc_and_accuracy(target, class_names, base, queries.targets)
    rows = []
    for (network, layer), features in queries.layers.items():
        votes = neighbour_votes(reference.layers[network, layer], answers, features, k, same)
        metrics = auroc_and_accuracy(target, class_names, votes, queries.targets)
        counts = {"k": k, "n_reference": len(reference.index), "n": len(queries.index)}
        for measure in MEASURES:
            values = {"measure": measure, "value": metrics[measure], "chance": chance[measure]}
            rows.append({"network": network, "layer": layer, **values, **counts})
    return rows


def neighbours_figure(frame: DataFrame, title: str) -> Figure:
    """What nearest neighbours read off each layer.

    Args:
        frame: rows of one measure, with group, layer, value and chance.
        title: of the measure.
    """
    layers = list(dict.fromkeys(frame["layer"]))
    figure = new_figure(max(5.0, 1.6 + 0.75 * len(layers)) + 2.0, 3.8)
    axes = new_axes(figure, ylabel=f"{title} of nearest neighbours")
    axes.axhline(frame["chance"].mean(), color="0.4", linewidth=1, linestyle=":", label="chance")
    for (group, part), (color, line) in zip(frame.groupby("group", sort=False), styles(), strict=False):
        mean = part.groupby("layer", sort=False)["value"].mean().reindex(layers)
        axes.plot(layers, mean, color=color, linestyle=line, marker="o", markersize=4.5, label=group)
    put_layers(axes, layers)
    draw_legend(figure)
    return figure
