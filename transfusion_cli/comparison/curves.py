"""ROC and precision-recall curves of several runs as one, with how far they would be elsewhere on other patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.difference import SEEDS

GRID = np.linspace(0, 1, 201)
"""False positive rates, or recalls, that curves are drawn at."""


class Curve(NamedTuple):
    """Means and pointwise 95 % bands (3, G) over the grid: low, mean, high."""

    roc: np.ndarray
    precision_recall: np.ndarray


def curve(runs: Sequence[ClassificationEvaluation], draws: int = 200, seed: int = 0) -> Curve:
    """The mean curve of runs and classes, and its band by the Bayesian bootstrap over patients (Rubin 1981).

    Each draw weighs the patients by exponential numbers and, where there are enough runs, takes runs with replacement.
    True positive rates are averaged at equal false positive rates, precisions at equal recalls.

    Args:
        runs: of the same cases.
        draws: of weights; equal seeds of runs compared give equal weights.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    clusters = runs[0].clusters.numpy()
    weights = np.concatenate([np.ones((1, clusters.max() + 1)), rng.exponential(size=(draws, clusters.max() + 1))])
    each = np.stack([_of_run(run, weights[:, clusters]) for run in runs])  # (S, 2, D + 1, G)
    count = len(runs)
    chosen = rng.integers(count, size=(draws, count)) if count >= SEEDS else np.tile(np.arange(count), (draws, 1))
    middle = each[:, :, 0].mean(axis=0)
    drawn = np.stack([each[which, :, 1 + draw].mean(axis=0) for draw, which in enumerate(chosen)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Curve(*(np.stack([low[kind], middle[kind], high[kind]]) for kind in (0, 1)))


def _of_run(run: ClassificationEvaluation, weights: np.ndarray) -> np.ndarray:
    """Curves (2, D, G), means over the classes that have positives and negatives, NaN if none has."""
    questions = run.questions
    columns = zip(questions.scores.T.numpy(), questions.truth.T.numpy(), questions.known.T.numpy(), strict=True)
    found = [_of_class(s[k], t[k], weights[:, k]) for s, t, k in columns if t[k].any() and not t[k].all()]
    return np.stack(found).mean(axis=0) if found else np.full((2, len(weights), len(GRID)), np.nan)


def _of_class(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Curves (2, D, G) of one class."""
    order = np.argsort(-scores, kind="stable")
    scores, truth, weights = scores[order], truth[order], weights[:, order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of each score that ties
    found = np.cumsum(weights * truth, axis=1)[:, last]
    alarms = np.cumsum(weights * ~truth, axis=1)[:, last]
    curves = np.empty((2, len(weights), len(GRID)))
    for draw, (hits, wrong) in enumerate(zip(found, alarms, strict=True)):
        recall, precision = hits / hits[-1], hits / (hits + wrong)
        curves[0, draw] = np.interp(GRID, np.append(0, wrong / wrong[-1]), np.append(0, recall))
        curves[1, draw] = precision[np.searchsorted(recall, np.minimum(GRID, recall[-1]))]
    return curves
