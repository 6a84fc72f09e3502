"""Which groups of runs differ by more than chance, on the same test patients."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from transfusion_cli import text
from transfusion_cli.comparison.groups import Group, brief
from transfusion_cli.comparison.tested import Tested, read_tested
from transfusion_cli.comparison.verdict import verdict
from transfusion_cli.errors import UserError
from transfusion_cli.files import write_text
from transfusion_cli.metrics.difference import SEEDS, Difference, difference, holm
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.versions import free_path


class Pair(NamedTuple):
    """Two groups by name, how they differ, the p adjusted for all pairs, and a sentence that says so."""

    first: str
    second: str
    difference: Difference
    adjusted: float
    paired: bool
    sentence: str


@dataclass(frozen=True)
class Differences:
    """All pairs that were compared in one metric.

    Args:
        metric: its name, without split.
        margin: a difference that would not matter.
        pairs: what was found.
        tests: the tests of each group's runs, by its name.
        left_out: groups that were not compared, each with the reason.
    """

    metric: str
    margin: float
    pairs: list[Pair]
    tests: dict[str, list[Tested]]
    left_out: list[str]

    def __str__(self) -> str:
        lines = [f"Not compared: {reason}" for reason in self.left_out]
        if self.pairs:
            lines = [*self._title(), *text.table(self._cells()), "", *(pair.sentence for pair in self.pairs), *lines]
            lines += self._notes()
        return "\n".join(lines)

    def _title(self) -> list[str]:
        evaluation = next(iter(self.tests.values()))[0].evaluation
        count = len(set(evaluation.patients)) if evaluation.patients is not None else len(evaluation)
        who = f"{count:,} patients" if evaluation.patients is not None else f"{count:,} images (no patients known)"
        return [f"Differences in test/{self.metric}, first minus second, on the same {who}", ""]

    def _cells(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [
            ("first", "second", "difference", "95 % interval", "p", "p (Holm)", "first better")
        ]
        for pair in self.pairs:
            found = pair.difference
            if found.why:
                rows.append((pair.first, pair.second, f"{found.value:+.4f}", found.why, "", "", ""))
                continue
            interval = f"{found.low:+.4f} to {found.high:+.4f}"
            p, adjusted = (_p(value) for value in (found.p, pair.adjusted))
            chance = f"{min(99.9, max(0.1, 100 * found.probability)):.1f} %"
            rows.append((pair.first, pair.second, f"{found.value:+.4f}", interval, p, adjusted, chance))
        return rows

    def _notes(self) -> list[str]:
        notes = [""]
        if all(pair.difference.recipes for pair in self.pairs):
            paired = all(pair.paired for pair in self.pairs)
            notes.append(f"Other patients and other seeds are accounted for{', seed by seed' if paired else ''}.")
        elif any(pair.difference.recipes for pair in self.pairs):
            notes.append(
                f"Other seeds are accounted for where both groups have {SEEDS} runs; the rest is of the networks."
            )
        else:
            notes.append(f"Of these networks alone: for what other seeds would give, train {SEEDS} or more of each.")
        if len(self.pairs) > 1:
            notes.append(f"p (Holm) is adjusted for the {len(self.pairs)} comparisons; each interval is of one alone.")
        return notes

    def write(self, path: Path) -> Path:
        """Write a CSV file with a row for each pair: ``path``, or ``name_1.csv`` where that exists."""
        path = free_path(path.expanduser())
        content = io.StringIO(newline="")
        writer = csv.writer(content)
        writer.writerow(["metric", "first", "second", *Difference._fields, "p_holm", "sentence"])
        for pair in self.pairs:
            numbers = ["" if value != value else value for value in (*pair.difference, pair.adjusted)]
            writer.writerow([self.metric, pair.first, pair.second, *numbers, pair.sentence])
        write_text(path, content.getvalue())
        return path


def compare(groups: Sequence[Group], metric: str | None, against: str | None, margin: float) -> Differences:
    """Compare groups whose runs were all tested on the same cases.

    Args:
        groups: two or more.
        metric: name without split; by default the one that checkpoints of the first group are kept by.
        against: the group that all others are compared with; by default each pair is.
        margin: a difference that would not matter.

    Raises:
        UserError: no group is called that.
    """
    metric = metric or groups[0].runs[0].monitor.partition("/")[2]
    names = _names(groups)
    if against is not None and against not in names:
        choice = f"Choose from: {', '.join(names)}"
        raise UserError(f"--against {against}: no group is called that.\n{did_you_mean(against, names, choice)}")
    by_name = dict(zip(names, groups, strict=True))
    tests, left_out = dict[str, list[Tested]](), list[str]()
    for name, group in by_name.items():
        if isinstance(of_runs := _tests(group, metric), str):
            left_out.append(f"{name}, {of_runs}")
        else:
            tests[name] = of_runs
    if all(run.predictions is None for group in groups for run in group.runs):
        left_out = ["no run was tested (transfusion test RUN)"]
    home = against if against in tests else max(tests, key=lambda name: _alike(name, tests), default=None)
    for name in [name for name in tests if home is not None and tests[name][0].test != tests[home][0].test]:
        left_out.append(
            f"{name}, which was tested on other images or labels than {home}: they stand side by side, without a test"
        )
        del tests[name]
    chosen = [(one, two) for one, two in combinations(tests, 2) if against is None or against in (one, two)]
    chosen = [(two, one) if one == against else (one, two) for one, two in chosen]
    found = [_difference(tests, by_name, pair, metric) for pair in chosen]
    adjusted = holm([one.p for one, _ in found])
    pairs = [
        Pair(*pair, one, p, paired, verdict(*pair, one, p, margin))
        for pair, (one, paired), p in zip(chosen, found, adjusted, strict=True)
    ]
    return Differences(metric, margin, pairs, tests, left_out)


def _names(groups: Sequence[Group]) -> list[str]:
    """Names of groups, each once: where several have the same, with what sets them apart, or with their versions."""
    names = [group.name for group in groups]
    for apart in (lambda group: f"{group.name} ({brief(group.differs)})", lambda group: group.label):
        names = [name if names.count(name) == 1 else apart(group) for name, group in zip(names, groups, strict=True)]
    return names


def _alike(name: str, tests: dict[str, list[Tested]]) -> int:
    """How many groups were tested on what this one was."""
    return sum(tests[name][0].test == other[0].test for other in tests.values())


def _tests(group: Group, metric: str) -> list[Tested] | str:
    """The tests of a group's runs, or why they cannot be compared."""
    found = []
    for run in group.runs:
        if isinstance(tested := read_tested(run), str):
            return f"whose {run.folder.path.name} {tested}"
        found.append(tested)
    if any(one.test != found[0].test for one in found):
        return "whose runs were tested on different images (all seeds need one --data.split_seed)"
    if metric not in (known := found[0].evaluation.metrics):
        return f"whose predictions say nothing of {metric} (try --metric {next(iter(known))})"
    if any(metric not in one.evaluation.estimates for one in found):
        return f"whose test leaves {metric} undefined"
    return found


def _difference(
    tests: dict[str, list[Tested]], groups: dict[str, Group], pair: tuple[str, str], metric: str
) -> tuple[Difference, bool]:
    """The difference of two groups, and whether their runs were paired by seed."""
    seeds = [[str(run.seed) for run in groups[name].runs] for name in pair]
    paired = sorted(seeds[0]) == sorted(seeds[1]) and len(set(seeds[0])) == len(seeds[0])
    first, second = (
        [test.evaluation.estimates[metric] for _, test in sorted(zip(own, tests[name], strict=True), key=_seed)]
        for name, own in zip(pair, seeds, strict=True)
    )
    return difference(first, second, paired), paired


def _seed(run: tuple[str, Tested]) -> str:
    return run[0]


def _p(value: float) -> str:
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
