"""Predictive values where a disease is as common as it is elsewhere."""

from __future__ import annotations

import math

from transfusion_cli.metrics.intervals import Interval

PREVALENCES = (0.01, 0.05, 0.2)
"""Of screening, of an outpatient clinic, of a ward."""

Share = tuple[float, Interval]
"""A share and its interval."""


def predictive_values(sensitivity: Share, specificity: Share, prevalence: float) -> tuple[Share, Share]:
    """PPV and NPV at a prevalence, by Bayes' rule, from sensitivity and specificity that hold there too.

    The odds of a disease after a positive answer are those before times sensitivity / (1 - specificity); of its absence
    after a negative one, those before times specificity / (1 - sensitivity). The intervals are those of these ratios.

    Args:
        sensitivity: with its interval, over positive patients.
        specificity: with its interval, over negative patients.
        prevalence: share of the positives, between 0 and 1.
    """
    odds = prevalence / (1 - prevalence)
    return (
        _share(ratio(sensitivity, _rest(specificity)), odds),
        _share(ratio(specificity, _rest(sensitivity)), 1 / odds),
    )


def ratio(first: Share, second: Share) -> Share:
    """A ratio of two independent shares with its interval (MOVER-R: Donner & Zou 2012, Stat. Methods Med. Res. 21:347).

    Infinite where the second is 0, which its interval need not be, so that the lower limit is not.
    """
    (a, (a_low, a_high, *_)), (b, (b_low, b_high, *_)) = first, second
    why = first[1].why or second[1].why
    value = a / b if b else math.inf if a else math.nan
    if why or math.isnan(value):
        return value, Interval(math.nan, math.nan, why=why or "undefined")
    product = a * b
    low = product - math.sqrt(max(0.0, product**2 - a_low * b_high * (2 * a - a_low) * (2 * b - b_high)))
    high = product + math.sqrt(max(0.0, product**2 - a_high * b_low * (2 * a - a_high) * (2 * b - b_low)))
    below, above = b_high * (2 * b - b_high), b_low * (2 * b - b_low)
    low = low / below if below else a_low * (2 * a - a_low) / (2 * product) if product else 0.0
    return value, Interval(max(0.0, low), high / above if above > 0 else math.inf, "MOVER-R of Wilson's")


def _rest(share: Share) -> Share:
    value, interval = share
    return 1 - value, interval._replace(low=1 - interval.high, high=1 - interval.low)


def _share(found: Share, odds: float) -> Share:
    value, interval = found

    def share(one: float) -> float:
        return 1.0 if math.isinf(one) else one * odds / (1 + one * odds)

    return share(value), interval._replace(low=share(interval.low), high=share(interval.high))
