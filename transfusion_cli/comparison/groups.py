"""Runs that differ in nothing but the seed, as one."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.time_to_event import horizon, restricted_mean
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.suggest import did_you_mean

SHOWN = 3
"""Differences between groups, and versions of one, that tables show."""


class Measure(NamedTuple):
    """One number of a group of runs; ``sd`` is over its runs, ``low`` to ``high`` a 95 % interval of the mean.

    ``reached`` of the ``runs`` got to the target within ``budget`` steps; NaN, None or infinite where there is no such
    thing.
    """

    measure: str
    runs: int
    mean: float
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan
    reached: int | None = None
    budget: float = math.nan


class Group(NamedTuple):
    """Runs that differ in nothing but the seed: their name, what sets them apart from the other groups, numbers."""

    name: str
    differs: dict[str, Any]
    runs: list[RunRecord]
    measures: dict[str, Measure]

    @property
    def label(self) -> str:
        """Names and versions: ``full (version_0, version_3)``."""
        versions: dict[str, list[str]] = {}
        for one in self.runs:
            versions.setdefault(one.name, []).append(one.folder.path.name)
        return ", ".join(f"{name} ({', '.join(few(folders))})" for name, folders in versions.items())


def group_runs(runs: Sequence[RunRecord], metric: str | None = None) -> list[Group]:
    """Group runs by their configuration without the seed, and sum each group up.

    Steps of groups with the same target are restricted to a common budget: how far all of them can tell.

    Args:
        runs: at least one run.
        metric: name without split; by default each run's own monitored metric.

    Raises:
        UserError: no run has that metric.
    """
    measured = {name for one in runs for name in one.measured}
    if metric is not None and metric not in measured:
        means = sorted(name for name in measured if "/" not in name)  # not those of single classes
        otherwise = f"Choose from: {', '.join(means)}" if means else "None of them has any."
        raise UserError(f"None of these runs has a metric {metric!r}.\n{did_you_mean(metric, measured, otherwise)}")
    by_config: dict[str, list[RunRecord]] = {}
    for one in runs:
        by_config.setdefault(one.fingerprint, []).append(one)
    groups = list(by_config.values())
    budgets: dict[str, float] = {}
    for group in groups:
        for target, (steps, reached) in _steps(group).items():
            budgets[target] = min(budgets.get(target, math.inf), horizon(steps, reached))
    differing = _differing([group[0].settings for group in groups])
    return [
        Group(
            ", ".join(dict.fromkeys(one.name for one in group)),
            {key: group[0].settings.get(key) for key in differing},
            group,
            {measure.measure: measure for measure in _measures(group, metric, budgets)},
        )
        for group in groups
    ]


def _differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Keys that set groups apart; options of a class that is another altogether go without saying."""
    keys = dict.fromkeys(key for one in settings for key in one)
    differing = [key for key in keys if any(one.get(key) != settings[0].get(key) for one in settings)]
    return [key for key in differing if key.rpartition(".")[0] not in differing or _within_a_class(key, settings)]


def _within_a_class(key: str, settings: Sequence[dict[str, Any]]) -> bool:
    """Whether groups that have the same class differ in an option of it."""
    classes: dict[str, set[str]] = {}
    for one in settings:
        classes.setdefault(str(one.get(key.rpartition(".")[0])), set()).add(str(one.get(key)))
    return any(len(values) > 1 for values in classes.values())


def _steps(group: Iterable[RunRecord]) -> dict[str, tuple[list[float], list[bool]]]:
    """Target to the steps and whether they reached it."""
    found: dict[str, tuple[list[float], list[bool]]] = {}
    for one in group:
        if one.target is not None:
            steps, reached = found.setdefault(one.target, ([], []))
            steps.append(one.steps)
            reached.append(one.reached)
    return found


def _measures(group: Sequence[RunRecord], metric: str | None, budgets: dict[str, float]) -> Iterable[Measure]:
    for target, (steps, reached) in _steps(group).items():
        got = restricted_mean(steps, reached, budgets[target])
        spread = stdev(min(step, got.budget) for step in steps) if len(steps) > 1 else math.nan
        budget = got.budget if math.isfinite(got.budget) else math.nan
        yield Measure(f"steps to {target}", got.runs, got.mean, spread, got.low, got.high, got.reached, budget)
    name = metric or group[0].monitor.partition("/")[2]
    for label, values in {
        f"best val/{name}": [one.best_validation(name) for one in group],
        f"test/{name}": [one.test(name) for one in group],
    }.items():
        known = [value for value in values if value is not None]
        if known:
            yield Measure(label, len(known), fmean(known), stdev(known) if len(known) > 1 else math.nan)


def few(texts: list[str]) -> list[str]:
    """The first of them, and how many more there are."""
    return [*texts[:SHOWN], *([f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else [])]


def brief(differs: dict[str, Any]) -> str:
    """What sets a group apart, in a few words."""
    return ", ".join(few([f"{key}={_short(value)}" for key, value in differs.items() if value is not None]))


def _short(value: Any) -> str:
    return str(value).rpartition(".")[2] if isinstance(value, str) and "/" not in value else str(value)
