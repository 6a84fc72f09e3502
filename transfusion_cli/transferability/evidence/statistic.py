"""How well a score orders sources by their outcomes on one target."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

WEIGHTED_TAU = "weighted_tau"
"""The statistic that says whether a score beat the static ranking."""


class Statistic(NamedTuple):
    """One way to say how well they agree.

    Args:
        name: in files.
        title: in tables.
        of: scores (S,) and outcomes (S,) of the same sources, neither all equal, to a number.
        low: the least it can be.
        high: the most.
    """

    name: str
    title: str
    of: Callable[[np.ndarray, np.ndarray], float]
    low: float
    high: float


def weighted_tau(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Weighted Kendall's tau (Vigna 2015): exchanges at the top of the rankings weigh most.

    As scipy has it by default: hyperbolic weights that add, ranks of weights by score and by outcome in turn and the
    mean of both, ties as in tau-b. It is the same with the arguments exchanged, and whatever the order of the sources.
    """
    from scipy.stats import weightedtau

    return float(weightedtau(scores, outcomes).statistic)


def tau(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Kendall's tau-b: all exchanges weigh the same."""
    from scipy.stats import kendalltau

    return float(kendalltau(scores, outcomes).statistic)


def pearson(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Pearson's correlation."""
    scaled = (values / np.abs(values).max() for values in (scores, outcomes))  # squares of 1e200 are infinite
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where they are all but equal
        return float(np.corrcoef(*scaled)[0, 1])


def regret(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """What the source with the highest score loses against the best; of several with that score, their mean."""
    return float(outcomes.max() - outcomes[scores == scores.max()].mean())


STATISTICS = (
    Statistic(WEIGHTED_TAU, "weighted tau", weighted_tau, -1, 1),
    Statistic("tau", "tau", tau, -1, 1),
    Statistic("pearson", "Pearson", pearson, -1, 1),
    Statistic("regret", "regret", regret, 0, np.inf),
)
"""The first is what rankings are sorted by."""
