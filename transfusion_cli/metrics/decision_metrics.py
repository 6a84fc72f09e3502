"""Metrics of decisions, all from four weights for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class DecisionCounts(NamedTuple):
    """Weights of the samples of one question, float64 scalars.

    ``known`` samples; ``positives`` among them; those ``chosen`` as positive; ``hits``, both positive and chosen.
    """

    known: Tensor
    positives: Tensor
    chosen: Tensor
    hits: Tensor

    @classmethod
    def of(cls, truth: Tensor, known: Tensor, chosen: Tensor, weights: Tensor) -> DecisionCounts:
        """The counts of weighted samples.

        Args:
            truth: bool (N,), whether the answer is yes.
            known: bool (N,), whether it is known.
            chosen: bool (N,), whether it is decided to be yes.
            weights: float64 (N,).
        """
        return cls(*(weights @ mask.to(weights.dtype) for mask in (known, truth, chosen & known, chosen & truth)))


def decision_metrics(counts: DecisionCounts) -> dict[str, Tensor]:
    """Metrics of one class or label against the rest; undefined ones are NaN.

    * ``accuracy``: the share of right answers.
    * ``sensitivity`` TP / (TP + FN) and ``specificity`` TN / (TN + FP).
    * ``f1``: 2 TP / (2 TP + FP + FN), where there is a positive.
    * ``kappa``: Cohen's, how far the accuracy is from that of independent decisions with the same margins to 1.
      Undefined where truth and decisions are all of one and the same class.
    """
    known, positives, chosen, hits = counts
    rejections = known - positives - chosen + hits
    accuracy = (hits + rejections) / known
    expected = (positives * chosen + (known - positives) * (known - chosen)) / known.square()
    return {
        "accuracy": accuracy,
        "sensitivity": hits / positives,
        "specificity": rejections / (known - positives),
        "f1": torch.where(positives > 0, 2 * hits / (positives + chosen), torch.nan),
        "kappa": 1 - (1 - accuracy) / (1 - expected),
    }


def quadratic_kappa(classes: Sequence[DecisionCounts], squared_error: Tensor) -> Tensor:
    """Cohen's kappa with quadratic weights (Cohen 1968).

    One minus the squared distance between decision and truth, over that expected of independent decisions with the
    same margins. NaN where that expectation is 0 (one class alone).

    Args:
        classes: counts of K ordered classes.
        squared_error: the weighted sum of squared distances in classes.
    """
    positives = torch.stack([counts.positives for counts in classes])
    chosen = torch.stack([counts.chosen for counts in classes])
    rank = torch.arange(len(classes), dtype=positives.dtype)
    distance = (rank[:, None] - rank[None, :]).square()
    expected = (positives * (distance @ chosen)).sum() / classes[0].known
    return 1 - squared_error / expected
