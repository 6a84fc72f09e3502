"""Metrics of decisions, all from four counts for each class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from transfusion_cli.metrics.one_vs_rest import OneVsRest
from transfusion_cli.targets import Target


class DecisionCounts(NamedTuple):
    """Weighted counts of samples, float ``(L, R)``: L classes or labels, R weightings of the samples.

    ``known`` samples; ``positives`` among them; those ``chosen`` as positive; ``hits``, both positive and chosen.
    """

    known: Tensor
    positives: Tensor
    chosen: Tensor
    hits: Tensor


def indicators(questions: OneVsRest) -> Tensor:
    """What :class:`DecisionCounts` counts, bool ``(4, L, N)``."""
    _, _, truth, known, chosen = questions
    return torch.stack([known, truth, chosen & known, chosen & truth]).transpose(1, 2)


def decision_metrics(target: Target, counts: DecisionCounts) -> dict[str, Tensor]:
    """Metrics ``(R,)`` of decisions; undefined ones are NaN and take no part in a mean.

    * ``accuracy``: multiclass and ordinal: the share of samples whose class is chosen. Binary and multilabel: the
      share of right answers, by label, then the mean over labels.
    * ``balanced_accuracy``: multiclass and ordinal: the mean sensitivity over the classes that occur. Binary and
      multilabel: the mean of sensitivity and specificity, by label, then the mean over labels.
    * ``f1``: 2 TP / (2 TP + FP + FN) by class with at least one positive, then the mean over these classes.
    * ``sensitivity`` TP / (TP + FN) and ``specificity`` TN / (TN + FP): of the positive class, binary only.
    * ``kappa``: Cohen's, binary only: how far the accuracy is from that of independent decisions with the same margins
      to 1. Undefined where truth and decisions are all of one and the same class.
    """
    known, positives, chosen, hits = counts
    rejections = known - positives - chosen + hits
    sensitivity = hits / positives
    specificity = rejections / (known - positives)
    f1 = torch.where(positives > 0, 2 * hits / (positives + chosen), torch.nan)
    if target in ("multiclass", "ordinal"):
        accuracy, balanced = hits.sum(dim=0) / known[0], sensitivity
    else:
        accuracy, balanced = ((hits + rejections) / known).nanmean(dim=0), (sensitivity + specificity) / 2
    metrics = {"accuracy": accuracy, "balanced_accuracy": balanced.nanmean(dim=0), "f1": f1.nanmean(dim=0)}
    if target == "binary":
        expected = (positives * chosen + (known - positives) * (known - chosen))[0] / known[0].square()
        kappa = 1 - (1 - accuracy) / (1 - expected)
        metrics |= {"sensitivity": sensitivity[0], "specificity": specificity[0], "kappa": kappa}
    return metrics


def quadratic_kappa(counts: DecisionCounts, squared_error: Tensor) -> Tensor:
    """Cohen's kappa with quadratic weights (Cohen 1968), ``(R,)``.

    One minus the squared distance between decision and truth, over that expected of independent decisions with the
    same margins. NaN where that expectation is 0 (one class alone).

    Args:
        counts: counts of K ordered classes.
        squared_error: ``(R,)``, the weighted sum of squared distances in classes.
    """
    rank = torch.arange(len(counts.known), dtype=counts.known.dtype)
    distance = (rank[:, None] - rank[None, :]).square()
    expected = (counts.positives * (distance @ counts.chosen)).sum(dim=0) / counts.known[0]
    return 1 - squared_error / expected
