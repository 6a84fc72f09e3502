"""Metrics of decisions, all from four weights for each class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from transfusion_cli.metrics.one_vs_rest import OneVsRest


class DecisionCounts(NamedTuple):
    """Weights of samples, float64 (L,) for L classes or labels.

    ``known`` samples; ``positives`` among them; those ``chosen`` as positive; ``hits``, both positive and chosen.
    """

    known: Tensor
    positives: Tensor
    chosen: Tensor
    hits: Tensor

    @classmethod
    def of(cls, questions: OneVsRest, weights: Tensor) -> DecisionCounts:
        """The counts of weighted samples.

        Args:
            questions: predictions and truth.
            weights: float64 (N,).
        """
        _, _, truth, known, chosen = questions
        return cls(*(weights @ mask.to(weights.dtype) for mask in (known, truth, chosen & known, chosen & truth)))


def decision_metrics(counts: DecisionCounts) -> dict[str, Tensor]:
    """Metrics (L,) of each class or label against the rest; undefined ones are NaN.

    * ``accuracy``: the share of right answers.
    * ``sensitivity`` TP / (TP + FN) and ``specificity`` TN / (TN + FP).
    * ``f1``: 2 TP / (2 TP + FP + FN), where there is a positive.
    """
    known, positives, chosen, hits = counts
    rejections = known - positives - chosen + hits
    return {
        "accuracy": (hits + rejections) / known,
        "sensitivity": hits / positives,
        "specificity": rejections / (known - positives),
        "f1": torch.where(positives > 0, 2 * hits / (positives + chosen), torch.nan),
    }


def kappa(counts: DecisionCounts) -> Tensor:
    """Cohen's kappa of one question: how far the accuracy is from that of independent decisions to 1.

    Independent ones with the same margins. NaN where truth and decisions are all of one and the same class.
    """
    known, positives, chosen, hits = (count[0] for count in counts)
    accuracy = (known - positives - chosen + 2 * hits) / known
    expected = (positives * chosen + (known - positives) * (known - chosen)) / known.square()
    return 1 - (1 - accuracy) / (1 - expected)


def quadratic_kappa(counts: DecisionCounts, squared_error: Tensor) -> Tensor:
    """Cohen's kappa with quadratic weights (Cohen 1968).

    One minus the squared distance between decision and truth, over that expected of independent decisions with the
    same margins. NaN where that expectation is 0 (one class alone).

    Args:
        counts: counts of K ordered classes.
        squared_error: the weighted sum of squared distances in classes.
    """
    rank = torch.arange(len(counts.known), dtype=counts.known.dtype)
    distance = (rank[:, None] - rank[None, :]).square()
    expected = (counts.positives * (distance @ counts.chosen)).sum() / counts.known[0]
    return 1 - squared_error / expected
