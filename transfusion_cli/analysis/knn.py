"""Nearest neighbours in the space of a layer: what can be read off it without training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.analysis.taps import Taps
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.targets import Target


@dataclass(frozen=True)
class Features:
    """Pooled activations of N images.

    Args:
        layers: (N, C) by network and layer, float32 on the CPU.
        targets: as the data give them.
        index: (N,), which sample.
    """

    layers: dict[tuple[str, str], Tensor]
    targets: Tensor
    index: Tensor


@torch.no_grad()
def collect_features(
    subjects: Sequence[Subject],
    layers: dict[str, list[str]],
    batches: Iterable[Batch],
    device: torch.device | str = "cpu",
) -> Features:
    """Run all networks over the batches, each read once.

    Args:
        subjects: the networks.
        layers: layers of each, by its name.
        batches: the images.
        device: where the networks are.
    """
    found: dict[tuple[str, str], list[Tensor]] = {}
    targets, index = [], []
    for batch in batches:
        images = batch["image"].to(device)
        targets.append(batch["target"])
        index.append(batch["index"])
        for subject in subjects:
            with Taps(subject.network, layers[subject.name], positions=1) as taps:
                subject(images)
                for layer, activation in taps.take().items():
                    found.setdefault((subject.name, layer), []).append(activation.pooled.float().cpu())
    return Features({key: torch.cat(parts) for key, parts in found.items()}, torch.cat(targets), torch.cat(index))


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
    chance = ClassificationEvaluation.of(target, class_names, base, queries.targets).metrics
    rows = []
    for (network, layer), features in queries.layers.items():
        votes = neighbour_votes(reference.layers[network, layer], answers, features, k, same)
        metrics = ClassificationEvaluation.of(target, class_names, votes, queries.targets).metrics
        counts = {"k": k, "n_reference": len(reference.index), "n": len(queries.index)}
        for measure in ("accuracy", "auroc"):
            values = {"measure": measure, "value": metrics[measure], "chance": chance[measure]}
            rows.append({"network": network, "layer": layer, **values, **counts})
    return rows
