"""Steps to a target over several runs, some of which never got there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LOWER = {"loss", "hd95", "volume_error"}
"""Metrics of which less is better."""


def direction(metric: str) -> str:
    """``min`` for a loss, a distance or an error, ``max`` for any other metric."""
    return "min" if LOWER & set(metric.split("/")[:2]) else "max"  # what follows is the name of a class


class RestrictedMean(NamedTuple):
    """Mean steps up to a budget, with its interval (NaN where the runs say nothing about it).

    ``runs`` were seen, ``reached`` of them got there within ``budget``, which is infinite where nothing restricts.
    """

    mean: float
    low: float
    high: float
    runs: int
    reached: int
    budget: float


def horizon(steps: Sequence[float], reached: Sequence[bool]) -> float:
    """How far the runs tell how many are still on their way: infinitely if the longest of them got there.

    The smallest horizon of several groups of runs is the budget on which to compare them.
    """
    longest = max(steps)
    return math.inf if all(r for s, r in zip(steps, reached, strict=True) if s == longest) else longest


def restricted_mean(
    steps: Sequence[float], reached: Sequence[bool], budget: float | None = None, confidence: float = 0.95
) -> RestrictedMean:
    """Restricted mean of the steps to a target: the area under the Kaplan-Meier curve up to a budget.

    A run that has not reached the target counts as still on its way for as long as it was watched (it is censored
    there), so the mean is that of ``min(steps, budget)``: a lower bound of the mean steps, and comparable between
    groups on the same budget alone. Without censoring and budget it is the plain mean.

    The interval is mean +- t SE, cut to [0, budget]. SE^2 is Greenwood's estimate, the sum over the steps at which
    runs got there of (area of the curve from there on)^2 d / (n (n - d)), d of the n runs still on their way getting
    there (Klein and Moeschberger, Survival Analysis, 2nd ed., section 4.5), times runs / (runs - 1); t has runs - 1
    degrees of freedom. Without censoring this is exactly Student's interval of a mean.

    What three runs can say is little: t is 4.3, so the interval is 2.5 standard deviations of the runs to either
    side, and the standard deviation itself is uncertain by half. It holds 95 % of the time for normal steps without
    censoring only. Censored runs all count as the budget, which narrows the spread: with one of three censored,
    read the interval as one for the *restricted* mean, and too narrow rather than too wide. Where no run got there,
    or there is only one run, there is no interval.

    Args:
        steps: for each run, the step at which it got there, or the last at which it was watched.
        reached: for each run, whether it got there.
        budget: where the mean is restricted to; by default ``horizon``. Later than that the curve is not known.
        confidence: of the interval.

    Raises:
        ValueError: without runs, or for a budget beyond what the runs tell.
    """
    if not len(steps):
        raise ValueError("no runs")
    known = horizon(steps, reached)
    limit = known if budget is None else budget
    if limit > known:
        raise ValueError(f"the runs were watched up to step {known:g}, not up to the budget {limit:g}")
    times = np.minimum(np.asarray(steps, dtype=float), limit)
    there = np.asarray(reached, dtype=bool) & (np.asarray(steps) <= limit)

    events = np.unique(times[there])
    at_risk = np.array([(times >= step).sum() for step in events])
    arriving = np.array([((times == step) & there).sum() for step in events])
    on_their_way = np.concatenate([[1.0], np.cumprod(1 - arriving / at_risk)])  # the curve, from each event to the next
    edges = np.concatenate([[0.0], events, [limit if math.isfinite(limit) else times.max()]])
    areas = on_their_way * np.diff(edges)
    beyond = areas.sum() - np.cumsum(areas)[:-1]  # area from each event on
    mean = float(areas.sum())

    runs = len(times)
    if runs == 1 or not there.any():
        return RestrictedMean(mean, math.nan, math.nan, runs, int(there.sum()), limit)
    from scipy.stats import t

    staying = at_risk > arriving  # the last to arrive leave no area
    greenwood = beyond[staying] ** 2 * arriving[staying] / (at_risk[staying] * (at_risk - arriving)[staying])
    margin = t.ppf((1 + confidence) / 2, runs - 1) * math.sqrt(greenwood.sum() * runs / (runs - 1))
    return RestrictedMean(mean, max(0.0, mean - margin), min(limit, mean + margin), runs, int(there.sum()), limit)
