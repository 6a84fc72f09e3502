"""How well scores agree with outcomes on each target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.transferability.evidence.static import STATIC, by_source, leave_one_target_out
from transfusion_cli.transferability.evidence.statistic import STATISTICS, Statistic

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3
"""Sources on a target: two are in the right order half of the time."""


def by_target(scores: pd.DataFrame, outcomes: pd.DataFrame, static: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every statistic of every measure, and of the static ranking, on every target.

    Only sources with a finite score and a finite outcome count. A target is left out where they are fewer than
    ``FEWEST``, or where all have the same score or the same outcome.

    Args:
        scores: ``source``, ``target``, ``measure``, ``value``; higher is better.
        outcomes: ``source``, ``target``, ``value``; higher is better.
        static: what stands beside the scores, ``source``, ``value`` and perhaps ``target``; by default what
            ``leave_one_target_out`` says of the outcomes.

    Returns:
        ``measure``, ``target``, ``statistic``, ``value``, ``difference`` (to the static ranking on the sources that it
        has too), ``sources`` (that count) and ``why`` (empty, or the reason that there is no value).
    """
    import pandas as pd

    truth, ground = by_source(outcomes), _ranking(outcomes, static)
    tables = {STATIC: ground, **{name: by_source(own) for name, own in scores.groupby("measure", sort=False)}}
    targets = sorted({target for table in (truth, *tables.values()) for target in table.index})
    sources = sorted({source for table in (truth, *tables.values()) for source in table.columns})

    def values(table: pd.DataFrame) -> np.ndarray:
        return table.reindex(index=targets, columns=sources).to_numpy(dtype=np.float64)

    rows = []
    for measure, table in tables.items():
        for target, own, got, base in zip(targets, values(table), values(truth), values(ground), strict=True):
            known = np.isfinite(own) & np.isfinite(got)
            shared = known & np.isfinite(base)
            why = _undefined(own[known], got[known])
            for statistic in STATISTICS:
                value, difference = _value(statistic, own[known], got[known]), math.nan
                if measure != STATIC:
                    difference = _value(statistic, own[shared], got[shared])
                    difference -= _value(statistic, base[shared], got[shared])
                rows.append((measure, target, statistic.name, value, difference, int(known.sum()), why))
    return pd.DataFrame(rows, columns=["measure", "target", "statistic", "value", "difference", "sources", "why"])


def left_out(values: pd.DataFrame) -> list[str]:
    """What is missing, in sentences without an end: on which targets, of which measures, for which reason.

    Args:
        values: as of ``by_target``.
    """
    missing = values[(values["why"] != "") & (values["statistic"] == STATISTICS[0].name)]
    places: dict[tuple[str, str], list[str]] = {}
    for measure, target, why in missing[["measure", "target", "why"]].itertuples(index=False):
        places.setdefault((measure, why), []).append(target)
    alike: dict[tuple[str, str], list[str]] = {}
    for (measure, why), targets in places.items():
        alike.setdefault((", ".join(targets), why), []).append(measure)
    return [f"{', '.join(measures)} on {targets}: {why}" for (targets, why), measures in alike.items()]


def _ranking(outcomes: pd.DataFrame, static: pd.DataFrame | None) -> pd.DataFrame:
    """The static ranking as a table of targets by sources."""
    if static is None:
        static = leave_one_target_out(outcomes)
    elif "target" not in static:
        static = static.merge(outcomes[["target"]].drop_duplicates(), how="cross")
    return by_source(static)


def _undefined(scores: np.ndarray, outcomes: np.ndarray) -> str:
    """Why nothing can be said of a target; empty where something can."""
    if len(scores) < FEWEST:
        return f"fewer than {FEWEST} sources"
    if (scores == scores[0]).all():
        return "the same score for all sources"
    return "the same outcome of all sources" if (outcomes == outcomes[0]).all() else ""


def _value(statistic: Statistic, scores: np.ndarray, outcomes: np.ndarray) -> float:
    """A statistic, NaN where it is undefined."""
    return math.nan if _undefined(scores, outcomes) else statistic.of(scores, outcomes)
