"""``transfusion compare``: runs side by side, those that differ in nothing but the seed as one row."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from transfusion_cli import text
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.files import write_text
from transfusion_cli.metrics.time_to_event import horizon, restricted_mean
from transfusion_cli.reports.find_runs import find_runs
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import ROOT
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.versions import free_path

SHOWN = 3
"""Differences between groups, and versions of one, that the table shows; the CSV file has them all."""


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
        return ", ".join(f"{name} ({', '.join(_few(folders))})" for name, folders in versions.items())


def flags() -> OwnFlags:
    """The flags of ``compare``."""
    about = (
        "One row for each group of runs that differ in nothing but the seed: steps to the target, best validation "
        "metric, test metric, over the seeds."
    )
    parser = OwnFlags("compare", about)
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run folder, folder of runs, pattern, or name of runs under --root")
    add("--root", type=Path, default=ROOT, metavar="DIR", help="where runs are looked for by name")
    add("--metric", metavar="NAME", help="metric, such as auroc; by default the one that checkpoints are kept by")
    add("--out", type=Path, metavar="FILE.csv", help="also write the numbers there, a row for each")
    return parser


def run(verb: str, args: list[str]) -> list[Group]:
    """Print the table and write the file that was asked for."""
    own = flags().parse_args(args)
    groups = compare([RunRecord.read(folder) for folder in find_runs(own.runs, own.root)], own.metric)
    print(table(groups))
    if own.out is not None:
        print(f"\nWritten to {write(groups, own.out)}")
    return groups


def compare(runs: Sequence[RunRecord], metric: str | None = None) -> list[Group]:
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
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if any(one.get(key) != settings[0].get(key) for one in settings)]


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


def table(groups: Sequence[Group]) -> str:
    """The groups as plain text, a row each."""
    columns = list(dict.fromkeys(measure for group in groups for measure in group.measures))
    columns.sort(key=lambda name: not name.startswith("steps"))
    rows = [["run", "differs in", "runs", *columns]]
    for group in groups:
        cells = [_cell(group.measures[name]) if name in group.measures else "" for name in columns]
        rows.append([group.label, _brief(group.differs), str(len(group.runs)), *cells])
    notes = ["mean ± standard deviation over seeds; steps: mean up to the budget (95 % interval), runs that got there"]
    budgets = {m.measure: m.budget for group in groups for m in group.measures.values() if not math.isnan(m.budget)}
    notes += [
        f"budget of {name}: {budget:,.0f} steps; a mean with runs missing is a lower bound"
        for name, budget in budgets.items()
    ]
    notes += [
        f"left out, as not of the test samples that the run held back: {one.folder.path / name}"
        for group in groups
        for one in group.runs
        for name in one.left_out
    ]
    return "\n".join([*text.table(rows), "", *notes])


def _cell(measure: Measure) -> str:
    if measure.reached is None:
        return f"{measure.mean:.4f}" + ("" if math.isnan(measure.sd) else f" ± {measure.sd:.4f}")
    interval = "" if math.isnan(measure.low) else f" ({measure.low:,.0f} to {measure.high:,.0f})"
    missing = "> " if measure.reached < measure.runs else ""
    return f"{missing}{measure.mean:,.0f}{interval}, {measure.reached}/{measure.runs}"


def _brief(differs: dict[str, Any]) -> str:
    return ", ".join(_few([f"{key}={_short(value)}" for key, value in differs.items() if value is not None]))


def _few(texts: list[str]) -> list[str]:
    return [*texts[:SHOWN], *([f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else [])]


def _short(value: Any) -> str:
    return str(value).rpartition(".")[2] if isinstance(value, str) and "/" not in value else str(value)


def write(groups: Sequence[Group], path: Path) -> Path:
    """Write a CSV file with a row for each number of each group: ``path``, or ``name_1.csv`` where that exists."""
    path = free_path(path.expanduser())
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(["group", "name", "differs", "folders", *Measure._fields])
    for number, group in enumerate(groups):
        differs = "; ".join(f"{key}={value}" for key, value in group.differs.items())
        folders = "; ".join(str(one.folder) for one in group.runs)
        for measure in group.measures.values():
            cells = ["" if value is None or value != value else value for value in measure]
            writer.writerow([number, group.name, differs, folders, *cells])
    write_text(path, content.getvalue())
    return path
