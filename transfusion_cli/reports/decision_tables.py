"""Calibration and decisions as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfusion_cli.metrics.decisions.at_threshold import MEASURES
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.decisions.prevalence import PREVALENCES
from transfusion_cli.metrics.decisions.quality import CHOSEN
from transfusion_cli.metrics.results import Results
from transfusion_cli.text import table

SHORT = {"brier": "Brier", "ece": "ECE", "calibration_slope": "slope", "calibration_intercept": "intercept"}


def calibration_table(made: Decisions, results: Results, stage: str) -> str:
    """Measures of calibration before and after, for each label, with 95 % intervals of those after.

    Args:
        made: the decisions.
        results: what ``decided_results`` gave.
        stage: which entries to show.
    """
    methods: dict[str, str] = {name: made.calibration[name].method for name in made.labels}
    if made.kind == "multiclass":
        methods[CHOSEN] = methods[made.labels[0]]
    return quality_table(methods, results, stage)


def quality_table(methods: Mapping[str, str], results: Results, stage: str) -> str:
    """The same of any labels.

    Args:
        methods: what each label was calibrated by, where that is one thing.
        results: with entries of all.
        stage: which entries to show.
    """
    rows = [(stage, "positives", "method", "", "before", "after", "95 % interval")]
    for name, method in methods.items():
        for at, (kind, short) in enumerate(SHORT.items()):
            before, after = (entry_of(results, f"{stage}/{prefix}{kind}", name) for prefix in ("", "calibrated_"))
            title = (name, f"{after['positives']:,}/{after['samples']:,}", method) if not at else ("", "", "")
            rows.append((*title, short, number(before), number(after), interval(after)))
    return "\n".join(table(rows))


def threshold_table(made: Decisions, results: Results, stage: str) -> str:
    """What decisions at the thresholds are worth; empty where there are none."""
    return decided_table(
        {name: f"{made.thresholds[name]:.4g}" for name in made.labels if name in made.thresholds}, results, stage
    )


def decided_table(thresholds: Mapping[str, str], results: Results, stage: str) -> str:
    """The same of any labels.

    Args:
        thresholds: of each label, where it is one number.
        results: with entries of all, but for the net benefit.
        stage: which entries to show.
    """
    if not thresholds:
        return ""
    rows = [
        (
            stage,
            "threshold",
            "",
            "value",
            "95 % interval",
            *(f"at {share:.0%}".replace("%", " %") for share in PREVALENCES),
        )
    ]
    for name, threshold in thresholds.items():
        kinds = [kind for kind in MEASURES if f"{stage}/{kind}_at_threshold/{name}" in results]
        for at, kind in enumerate(kinds):
            entry = results[f"{stage}/{kind}_at_threshold/{name}"]
            others = [results.get(f"{stage}/{kind}_at_prevalence_{share:g}/{name}") for share in PREVALENCES]
            title = (name, threshold) if not at else ("", "")
            short = kind.upper() if kind in ("ppv", "npv") else kind.replace("_", " ")
            elsewhere = ["" if other is None else number(other) for other in others]
            rows.append((*title, short, number(entry), interval(entry), *elsewhere))
    return "\n".join(table(rows))


def left_alone(made: Decisions) -> list[str]:
    """A line for each label that is not calibrated, or the one for all classes, and why."""
    if made.kind == "multiclass":
        why = made.calibration[made.labels[0]].why
        return [f"Not calibrated: {why}"] if why else []
    reasons = {name: one.why for name, one in made.calibration.items() if one.why}
    without = {name: "" if name in made.thresholds else ", and has no threshold" for name in reasons}
    return [f"{name} is not calibrated: {why}{without[name]}" for name, why in reasons.items()]


def entry_of(results: Results, kind: str, name: str) -> dict[str, Any]:
    """The entry of a label: without its name where it is the only one."""
    return results.get(f"{kind}/{name}") or results[kind]


def number(entry: dict[str, Any]) -> str:
    """``0.912``."""
    value = entry["value"]
    return "undefined" if value is None else f"{value:.3f}"


def interval(entry: dict[str, Any]) -> str:
    """``0.880 to 0.940``, or why there is none."""
    low, high = entry.get("low"), entry.get("high")
    return str(entry.get("why", "")) if low is None or high is None else f"{low:.3f} to {high:.3f}"
