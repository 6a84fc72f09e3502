"""The metrics of a classification, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_cohen_kappa

from transfusion_cli.metrics.decision_metrics import DecisionCounts, decision_metrics, indicators
from transfusion_cli.metrics.one_vs_rest import OneVsRest, one_vs_rest
from transfusion_cli.metrics.weighted_ranking import WeightedRanking
from transfusion_cli.targets import Target


def classification_metrics(
    target: Target, class_names: Sequence[str], probabilities: Tensor, targets: Tensor, scores: Tensor | None = None
) -> dict[str, float]:
    """Metrics by name; what the data leave undefined is NaN, never 0.

    * ``auroc``: area under the ROC curve, ties counting one half. Binary: of the positive class. Otherwise of each
      class or label against the rest (``auroc/<class>``), and their mean.
    * ``average_precision``: the sum over thresholds of precision times the step in recall, without interpolation,
      by class and averaged alike.
    * ``kappa``: Cohen's; ordinal: with quadratic weights; binary: plain.
    * ``accuracy``, ``balanced_accuracy``, ``f1``, ``sensitivity``, ``specificity``: see
      :func:`transfusion_cli.metrics.decision_metrics.decision_metrics`.

    AUROC and average precision of a class need a positive and a negative; a mean is taken over the classes where
    the metric is defined. Unknown targets are left out label by label.

    Args:
        target: The kind of target.
        class_names: K class names, or L label names.
        probabilities: ``(N, L)`` or ``(N, K)``.
        targets: float ``(N, L)`` or int64 ``(N,)``.
        scores: What AUROC and average precision rank by, see :func:`transfusion_cli.metrics.one_vs_rest.one_vs_rest`.
    """
    questions = one_vs_rest(target, class_names, probabilities, targets, scores)
    auroc, precision = zip(*_rankings(questions), strict=True)
    by_class = {"auroc": auroc, "average_precision": precision}
    metrics = {name: torch.tensor(values, dtype=torch.float64).nanmean().item() for name, values in by_class.items()}
    counts = DecisionCounts(*indicators(questions).double().sum(dim=2, keepdim=True))
    metrics |= {name: value.item() for name, value in decision_metrics(target, counts).items()}
    if target == "ordinal":
        metrics["kappa"] = _kappa(questions)
    if target != "binary":
        for metric, values in by_class.items():
            metrics |= {f"{metric}/{name}": value for name, value in zip(questions.names, values, strict=True)}
    return metrics


def _rankings(questions: OneVsRest) -> Iterator[tuple[float, float]]:
    """AUROC and average precision of each question."""
    for scores, truth, known in zip(questions.scores.T, questions.truth.T, questions.known.T, strict=True):
        one_cluster = torch.zeros(int(known.sum()), dtype=torch.int64)
        auroc, precision = WeightedRanking(scores[known], truth[known], one_cluster, 1)(torch.ones(1, 1))
        yield auroc.item(), precision.item()


def _kappa(questions: OneVsRest) -> float:
    known = questions.known[:, 0]
    if not known.any():
        return math.nan
    truth, chosen = (answers[known].long().argmax(dim=1) for answers in (questions.truth, questions.chosen))
    return multiclass_cohen_kappa(chosen, truth, len(questions.names), weights="quadratic").item()
