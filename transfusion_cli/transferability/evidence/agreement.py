"""How well scores agree with outcomes over all targets, beside a ranking that never sees the target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfusion_cli.transferability.evidence.by_target import by_target
from transfusion_cli.transferability.evidence.statistic import STATISTICS, WEIGHTED_TAU

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
"""Of the intervals."""


COLUMNS = [
    *("measure", "statistic", "value", "low", "high", "targets", "fewest", "most"),
    *("difference", "difference_low", "difference_high", "p", "compared"),
]


class Mean(NamedTuple):
    """A mean over targets with its interval and the two-sided p against 0; NaN where nothing says how it varies."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    targets: int = 0


def agreement(scores: pd.DataFrame, outcomes: pd.DataFrame, static: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every statistic of every measure, and of the static ranking, over the targets.

    Args:
        scores: ``source``, ``target``, ``measure``, ``value``; higher is better.
        outcomes: ``source``, ``target``, ``value``; higher is better.
        static: a ranking of the user's own, ``source``, ``value`` and perhaps ``target``; by default the one that
            follows from the outcomes on the other targets.

    Returns:
        As of ``over_targets``.
    """
    return over_targets(by_target(scores, outcomes, static))


def over_targets(values: pd.DataFrame) -> pd.DataFrame:
    """Means over targets with 95 % intervals, those of the highest weighted tau first.

    Args:
        values: as of ``by_target``.

    Returns:
        A row for each ``measure`` and ``statistic``: ``value``, ``low``, ``high``, ``targets`` (that count), ``fewest``
        and ``most`` (sources on one of them); ``difference``, ``difference_low``, ``difference_high``, ``p`` and
        ``compared`` are of the differences to the static ranking, target by target, and ``p_holm`` is adjusted for all
        measures. Intervals are of one mean alone.
    """
    import pandas as pd

    rows = []
    for (measure, name), group in values.groupby(["measure", "statistic"], sort=False):
        statistic = next(one for one in STATISTICS if one.name == name)
        own, gap = (mean(group[column].to_numpy(dtype=np.float64)) for column in ("value", "difference"))
        low, high = np.clip([own.low, own.high], statistic.low, statistic.high)  # NaN stays
        sources = group.loc[group["value"].notna(), "sources"]
        span = (own.targets, sources.min(), sources.max())
        rows.append((measure, name, own.value, low, high, *span, gap.value, gap.low, gap.high, gap.p, gap.targets))
    from transfusion_cli.metrics.difference import holm  # torch takes seconds to import

    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["p_holm"] = frame.groupby("statistic")["p"].transform(lambda p: holm(p.tolist()))
    first = frame[frame["statistic"] == WEIGHTED_TAU].set_index("measure")["value"]
    order = frame["measure"].map(-first).argsort(kind="stable")  # NaN last
    return frame.iloc[order].reset_index(drop=True)


def mean(values: np.ndarray) -> Mean:
    """The mean of targets with an interval by Student's t, for targets that are drawn at random.

    A bootstrap of so few would be too narrow. One target alone has neither interval nor p. Targets that all say the
    same, as three sources have few rankings, do not show how they vary: no interval, and the p of a sign test.

    Args:
        values: of each target (T,), NaN where undefined.
    """
    from scipy.stats import t

    known = values[np.isfinite(values)]
    count = len(known)
    if not count:
        return Mean(math.nan)
    value, spread = float(known.mean()), float(known.std(ddof=1)) if count > 1 else 0.0
    if spread < 1e-12:
        p = 2.0 ** (1 - count) if abs(value) > 1e-12 else 1.0
        return Mean(value, p=p if count > 1 else math.nan, targets=count)
    error = spread / math.sqrt(count)
    margin = error * float(t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Mean(value, value - margin, value + margin, float(2 * t.sf(abs(value) / error, count - 1)), count)
