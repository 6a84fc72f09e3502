"""Tables of ``results.json``: the test, its parts and groups, calibration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transfusion_cli.metrics.results import COUNTS, EMPTY
from transfusion_cli.reports.subgroup_decisions import MANY
from transfusion_cli.run_report.decided import MEASURES, in_words, is_decision

_KEY = re.compile(r"((?:test|gap)(?:\[.*\])?)/(.+)", re.DOTALL)

GROUPED = ("auroc", "balanced_accuracy", "sensitivity", "specificity", "dice", "accuracy")
"""Metrics that parts and groups are told by."""

JUDGED = re.compile(
    r"(calibrated_)?(ece|calibration_slope|calibration_intercept)|(sensitivity|specificity)_at_threshold"
)
"""Metrics of calibration and decisions that groups are told by as well."""

Table = tuple[list[str], list[list[str]]]
"""Titles and rows."""


class ResultTables:
    """What a test found, as cells.

    Args:
        results: what ``results.json`` holds.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.results = results
        self.stages: dict[str, dict[str, dict[str, Any]]] = {}
        """Entries by metric, of ``test``, ``test[PART]`` and ``gap[GROUP]``."""
        for key, entry in results.items():
            if (found := _KEY.fullmatch(key)) and isinstance(entry, dict):
                self.stages.setdefault(found[1], {})[found[2]] = entry

    @property
    def counts(self) -> dict[str, Any]:
        """Samples, patients and positives of the test."""
        entries = self.stages.get("test", {})
        return {name: entry.get("value") for name, entry in entries.items() if name.partition("/")[0] in COUNTS}

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Of the test, without counts, calibration and decisions."""
        entries = self.stages.get("test", {}).items()
        return {name: e for name, e in entries if name.partition("/")[0] not in COUNTS and not is_decision(name)}

    def main(self) -> Table:
        """Each metric of the test, single classes below their mean, beside validation with the same weights."""
        rows = []
        for name in self.nested(list(self.metrics)):
            entry, validated = self.metrics[name], self.results.get(f"val/{name}", {}).get("value")
            title = f"  {name.partition('/')[2]}" if "/" in name else name
            beside = "" if validated is None else f"{validated:.3f}"
            rows.append([title, number(entry), interval(entry), positives(entry), beside])
        return _without_empty(["test", "value", "95 % interval", "positives", "validation"], rows)

    def empty(self) -> Table | None:
        """Of each class of masks, how many structures were missed or absent."""
        counts = {key: value for key, value in self.counts.items() if key.partition("/")[0] in EMPTY}
        classes = dict.fromkeys(key.partition("/")[2] for key in counts)
        rows = [[name, *(f"{counts.get(f'{kind}/{name}') or 0:g}" for kind in EMPTY)] for name in classes]
        return (["class", *(kind.replace("_", " ") for kind in EMPTY)], rows) if rows else None

    def parts(self) -> list[tuple[str, Table]]:
        """Of domains, examinations and groups, a table for each metric that they are told by."""
        stages = {stage[5:-1]: entries for stage, entries in self.stages.items() if stage.startswith("test[")}
        found = []
        for metric in (*GROUPED, *self._judged(stages)):
            rows = []
            for name, entries in stages.items():
                if metric not in entries:
                    continue
                gap = self.stages.get(f"gap[{name}]", {}).get(metric, {})
                count = entries.get("patients") or entries.get("samples") or {}
                row = [name, f"{count.get('value', 0):,}", number(entries[metric]), interval(entries[metric])]
                rows.append([*row, *_gap(gap)])
            head = [in_words(metric), "patients" if self._patients(stages) else "samples", "value", "95 % interval"]
            if rows:
                found.append((metric, _without_empty([*head, "gap to the rest", "95 % of the gap", "p (Holm)"], rows)))
        return found

    def calibration(self) -> Table | None:
        """Before and after calibration, of each label that was measured."""
        entries, rows = self.stages.get("test", {}), []
        for kind, title in MEASURES.items():
            for name in [name for name in entries if name.partition("/")[0] == kind]:
                before, after = entries[name], entries.get(f"calibrated_{name}", {})
                label = name.partition("/")[2]
                after_cells = [number(after), interval(after)] if after else ["", ""]
                rows.append([f"{title} {label}".strip(), number(before), interval(before), *after_cells])
        head = ["", "before", "95 % interval", "calibrated", "95 % interval"]
        return _without_empty(head, rows) if rows else None

    def decisions(self) -> Table | None:
        """What decisions at the stored thresholds are worth."""
        entries, rows = self.stages.get("test", {}), []
        for name, entry in entries.items():
            kind, _, label = name.partition("/")
            if "_at_" not in kind or not is_decision(name):
                continue
            what, _, at = kind.partition("_at_")
            told = what.upper() if what in ("ppv", "npv") else what.replace("_", " ")
            if at != "threshold":
                told += f" at a {at.replace('_', ' of ')}"
            rows.append([label, told, number(entry), interval(entry)])
        return _without_empty(["label", "at its threshold", "value", "95 % interval"], rows) if rows else None

    def headline(self) -> list[tuple[str, dict[str, Any]]]:
        """The metrics of all classes together that have an interval, the most telling first."""
        order = ("dice", "auroc", "average_precision", "balanced_accuracy", "kappa", "sensitivity", "specificity")
        known = [(name, self.metrics[name]) for name in order if name in self.metrics]
        return [(name, entry) for name, entry in known if entry.get("value") is not None]

    @staticmethod
    def nested(names: list[str]) -> list[str]:
        """Names of metrics, those of single classes behind the mean over them."""
        plain = [name for name in names if "/" not in name]
        nested = [one for name in plain for one in (name, *(n for n in names if n.startswith(f"{name}/")))]
        return nested + [name for name in names if name not in nested]

    def _judged(self, stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """What groups are told by of calibration and decisions; of many labels, those with a gap beyond chance."""
        names = dict.fromkeys(name for entries in stages.values() for name in entries)
        kept = [name for name in names if JUDGED.fullmatch(name.partition("/")[0])]
        labels = {name.partition("/")[2] for name in kept} - {""}
        if len(labels) > MANY:
            gaps = [self.stages.get(f"gap[{stage}]", {}) for stage in stages]
            kept = [n for n in kept if "/" not in n or any((gap.get(n, {}).get("p_holm") or 1) < 0.05 for gap in gaps)]
        return sorted(kept, key=lambda name: "_at_" in name)

    @staticmethod
    def _patients(stages: Mapping[str, Mapping[str, Any]]) -> bool:
        return any("patients" in entries for entries in stages.values())


def number(entry: Mapping[str, Any]) -> str:
    """``0.912``; what the data leave undefined is called so."""
    value = entry.get("value")
    return "undefined" if value is None else f"{value:.3f}"


def interval(entry: Mapping[str, Any]) -> str:
    """``0.880 to 0.940``, or why there is none."""
    low, high = entry.get("low"), entry.get("high")
    return str(entry.get("why", "")) if low is None or high is None else f"{low:.3f} to {high:.3f}"


def positives(entry: Mapping[str, Any]) -> str:
    """``390/624``: positive samples of all with a known label."""
    return f"{entry['positives']:,}/{entry['samples']:,}" if "positives" in entry and "samples" in entry else ""


def with_interval(name: str, entry: Mapping[str, Any]) -> str:
    """``auroc 0.931 (0.908 to 0.948)``."""
    told = interval(entry)
    return f"{name} {number(entry)}" + (f" ({told})" if told else "")


def _gap(entry: Mapping[str, Any]) -> list[str]:
    if entry.get("value") is None:
        return ["", str(entry.get("why", "")), ""]
    p = entry.get("p_holm")
    told = "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
    return [f"{entry['value']:+.3f}", interval(entry), told]


def _without_empty(head: list[str], rows: list[list[str]]) -> Table:
    """The table without columns that have nothing but a title."""
    kept = [at for at in range(len(head)) if not at or any(row[at] for row in rows)]
    return [head[at] for at in kept], [[row[at] for at in kept] for row in rows]
