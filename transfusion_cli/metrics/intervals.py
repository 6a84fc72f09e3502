"""Intervals that hold what they say for few patients and for values near 0 and 1.

``benchmarks/coverage.py`` simulates how often they hold the truth; docs/statistics.md has its table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from transfusion_cli.metrics.estimate import Estimate


class Interval(NamedTuple):
    """Where the true value lies, and how that was found; NaN limits where there is no telling, and ``why``."""

    low: float
    high: float
    method: str = ""
    why: str = ""


UNDEFINED = Interval(math.nan, math.nan, why="undefined")
"""Of a metric that the data leave undefined."""


def too_few(estimate: Estimate) -> Interval | None:
    """What stands in place of an interval that rests on too few patients, or would be around nothing."""
    patients, side = estimate.fewest
    if patients >= estimate.needed:
        return UNDEFINED if math.isnan(estimate.value) else None
    return Interval(math.nan, math.nan, why=f"too few {side} ({patients})")


def wilson(
    estimate: Estimate, confidence: float, lowest: float = 0, share: bool = False, least: float = 1e-12
) -> Interval:
    """Wilson's interval (1927) of a share, for as many independent cases as give its variance.

    With p (1 - p) / variance cases (fewer by ``doubt``) in place of their number it serves clustered shares (the design
    effect of Rao & Scott 1992), and other metrics that end where a share does. A share of 0 or 1 has no variance: the
    patients count. A share of cases that are a patient each is Wilson's own, but for Student's t.

    Args:
        estimate: with a value from ``lowest`` to 1.
        confidence: probability that the interval is meant to cover.
        lowest: -1 for kappa.
        share: whether it is a share of cases.
        least: variance up to which there is none.
    """
    width, patients = 1 - lowest, estimate.fewest[0]
    value, variance = (estimate.value - lowest) / width, estimate.variance / width**2
    flat = variance <= least or not 0 < value < 1
    if flat or (share and estimate.cases == estimate.patients):
        cases = float(patients)
    else:
        cases = value * (1 - value) / (variance * doubt(patients))
    q = student(confidence, patients)
    middle = (value + q**2 / (2 * cases)) / (1 + q**2 / cases)
    margin = q * math.sqrt(max(0, value * (1 - value) / cases) + (q / (2 * cases)) ** 2) / (1 + q**2 / cases)
    low, high = max(0, middle - margin), min(1, middle + margin)
    return Interval(lowest + width * low, lowest + width * high, "Wilson, clustered by patient")


def logarithmic(estimate: Estimate, confidence: float) -> Interval:
    """The interval of a mean that is above 0 and has no upper end, such as one of distances: t on the logarithm.

    Such means are of skewed numbers, which t on the numbers themselves holds too seldom. The variance is multiplied by
    ``doubt`` as in ``wilson``.
    """
    if estimate.value <= 0:
        return Interval(math.nan, math.nan, why="all are 0")
    patients = estimate.fewest[0]
    error = math.sqrt(estimate.variance * doubt(patients)) / estimate.value
    factor = math.exp(min(700.0, student(confidence, patients) * error))
    return Interval(estimate.value / factor, estimate.value * factor, "Student's t on the logarithm, by patient")


def symmetric(estimate: Estimate, confidence: float) -> Interval:
    """Student's t on the metric itself, for what has no ends, such as a slope; the variance as in ``logarithmic``."""
    patients = estimate.fewest[0]
    margin = student(confidence, patients) * math.sqrt(estimate.variance * doubt(patients))
    return Interval(estimate.value - margin, estimate.value + margin, "Student's t, by patient")


def newcombe(estimate: Estimate, confidence: float) -> Interval:
    """Newcombe's interval of an AUROC (2006, method 5) with the variance of clustered DeLong.

    The interval holds every area that the observed one is within t standard errors of, each with the variance that
    an area of that size has under exponential scores (Hanley & McNeil 1982; both sides as large as their mean). So
    it does not end at 1 where a few positives happen to be above all negatives. The numbers of cases are divided by
    the design effect of patients with several. The variance that the data show corrects that of the model: fully
    where it is larger, and by the power k / (k + 20) where it is smaller, since k patients hardly tell that.

    Args:
        estimate: an area, its sides positives and negatives.
        confidence: probability that the interval is meant to cover.
    """
    value, variance, patients = estimate.value, estimate.variance, estimate.fewest[0]
    design = max(1.0, variance / estimate.alone) if estimate.alone > 0 else 1.0
    positives, negatives = (count / design for count in estimate.cases.values())
    mean = (positives + negatives) / 2 - 1

    def model(area: float) -> float:
        return (
            area
            * (1 - area)
            * (1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area))
            / (positives * negatives)
        )

    correction = 1.0
    if 0 < value < 1 and variance > 0:
        ratio = variance / model(value) * doubt(patients)
        correction = ratio if ratio > 1 else ratio ** (patients / (patients + 20))
    q = student(confidence, patients)

    def outside(area: float) -> bool:
        return (value - area) ** 2 > q**2 * correction * model(area)

    method = "Newcombe 5, with the variance of clustered DeLong"
    return Interval(_edge(outside, 0.0, value), _edge(outside, 1.0, value), method)


def mover(parts: Sequence[tuple[float, Interval]], covariance: Tensor) -> Interval:
    """The interval of a mean from those of its parts (MOVER: Zou & Donner 2008; with correlated parts: Zou 2007).

    Args:
        parts: K values with their intervals.
        covariance: float64 (K, K), of the parts.
    """
    if len(parts) == 1:
        return parts[0][1]
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    scale = deviation[:, None] * deviation
    correlation = (covariance / scale.where(scale > 0, 1)).clamp(-1, 1)
    correlation.fill_diagonal_(1)

    def reach(side: str) -> float:
        distance = covariance.new_tensor([abs(part - getattr(interval, side)) for part, interval in parts])
        return math.sqrt(max(0.0, (distance @ correlation @ distance).item())) / len(parts)

    value = sum(part for part, _ in parts) / len(parts)
    methods = " and ".join(dict.fromkeys(interval.method for _, interval in parts))
    return Interval(value - reach("low"), value + reach("high"), f"MOVER of {methods}")


def doubt(patients: int) -> float:
    """What a variance is multiplied by because it was estimated from few patients: that of Student's t.

    With it and the quantile of t, simulated intervals of a dozen patients hold the truth as often as they say.
    """
    return patients / (patients - 2)


def student(confidence: float, patients: float) -> float:
    """The quantile of Student's t that a two-sided interval of that confidence ends at, for so many patients."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, patients - 1))


def _edge(outside: Callable[[float], bool], end: float, value: float) -> float:
    """Where an interval around ``value`` ends on the way to ``end``, by bisection to the last bit."""
    inside = value
    if not outside(end):
        return end
    while (middle := (inside + end) / 2) not in (inside, end):
        inside, end = (inside, middle) if outside(middle) else (middle, end)
    return inside
