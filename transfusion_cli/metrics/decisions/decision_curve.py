"""Decision curves: the net benefit of acting by a probability, threshold by threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.estimate import FEWEST, Estimate
from transfusion_cli.metrics.intervals import symmetric

GRID = np.linspace(0.01, 0.99, 99)


class DecisionCurve(NamedTuple):
    """Net benefit (T,) of one label at the thresholds, with 95 % limits, and that of acting on every case.

    Acting on none has 0. The limits are NaN where there are too few patients.
    """

    thresholds: np.ndarray
    benefit: np.ndarray
    low: np.ndarray
    high: np.ndarray
    all: np.ndarray


def decision_curve(
    evaluation: ClassificationEvaluation, name: str, thresholds: np.ndarray = GRID, confidence: float | None = 0.95
) -> DecisionCurve:
    """The curve of one label (Vickers & Elkin 2006), its intervals over patients.

    The net benefit is the mean over cases of 1 for a true positive and -t / (1 - t) for a false one.

    Args:
        evaluation: its probabilities.
        name: of the label.
        thresholds: (T,), between 0 and 1.
        confidence: of the pointwise limits; None for a curve without.
    """
    questions = evaluation.questions
    at = questions.names.index(name)
    known = questions.known[:, at]
    p, truth = evaluation.probabilities[known, at].double(), questions.truth[known, at].double()
    clusters = evaluation.clusters[known].unique(return_inverse=True)[1]
    everyone = {"patients": torch.ones(len(truth), dtype=torch.bool)}
    patients = int(clusters.max()) + 1 if len(clusters) else 0
    rows = []
    for threshold in thresholds.tolist():
        odds = threshold / (1 - threshold)
        worth = truth - odds * (1 - truth)
        gained = worth * (p > threshold)
        benefit = gained.mean().item() if len(gained) else float("nan")
        low = high = float("nan")
        if confidence is not None and patients >= FEWEST:
            estimate = Estimate.of(benefit, (gained - benefit) / len(gained), everyone, clusters)
            low, high, *_ = symmetric(estimate, confidence)
        rows.append((benefit, low, high, worth.mean().item()))
    return DecisionCurve(thresholds, *(np.array(column) for column in zip(*rows, strict=True)))
