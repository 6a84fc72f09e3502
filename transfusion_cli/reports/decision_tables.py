"""Calibration and decisions as plain text."""

from __future__ import annotations

from typing import Any

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
    rows = [(stage, "positives", "method", "", "before", "after", "95 % interval")]
    for name in (*made.labels, *([CHOSEN] if made.kind == "multiclass" else [])):
        method = made.calibration[made.labels[0] if name == CHOSEN else name].method
        for at, (kind, short) in enumerate(SHORT.items()):
            before, after = (entry_of(results, f"{stage}/{prefix}{kind}", name) for prefix in ("", "calibrated_"))
            title = (name, f"{after['positives']:,}/{after['samples']:,}", method) if not at else ("", "", "")
            rows.append((*title, short, number(before), number(after), interval(after)))
    return "\n".join(table(rows))


def threshold_table(made: Decisions, results: Results, stage: str) -> str:
    """What decisions at the thresholds are worth; empty where there are none."""
    names = [name for name in made.labels if name in made.thresholds]
    if not names:
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
    for name in names:
        for at, kind in enumerate(("sensitivity", "specificity", "ppv", "npv", "net_benefit")):
            entry = results[f"{stage}/{kind}_at_threshold/{name}"]
            others = [results.get(f"{stage}/{kind}_at_prevalence_{share:g}/{name}") for share in PREVALENCES]
            title = (name, f"{made.thresholds[name]:.4g}") if not at else ("", "")
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
