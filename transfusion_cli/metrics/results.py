"""What ``results.json`` says: every number under one flat name, with its interval and its counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.text import table

Results = dict[str, dict[str, Any]]
"""``{"test/auroc": {"value": 0.91, "low": 0.88, "high": 0.94, ...}, ...}``; undefined numbers are ``None``."""

EMPTY = ("missed", "absent", "false_alarms", "false_volume")
COUNTS = ("samples", "patients", "positives", *EMPTY)


def build_results(
    evaluation: Evaluation, stage: str = "test", validation: Mapping[str, float] | None = None
) -> Results:
    """Everything ``results.json`` says about one evaluation.

    Each metric but the loss has its ``value``, its 95 % interval ``low`` to ``high`` with the
    ``method`` that it was found by, or ``why`` there is none, and what it rests on: ``samples`` with a known label, and
    if it is of one class, ``positives`` among them. ``<stage>/samples``, ``<stage>/patients`` (where known) and, for
    each class or label (binary: the positive class), ``<stage>/positives/<class>`` are counts. ``notes`` says how the
    metrics are meant, where that has to be said.

    Args:
        evaluation: of a split, or of a part of one.
        stage: what stands before the slash.
        validation: metrics of the same weights on the validation split, names with or without ``val/``.
    """
    intervals = evaluation.intervals()
    results: Results = {}
    for metric, value in evaluation.metrics.items():
        entry: dict[str, Any] = {"value": _json_safe(value)}
        if metric in intervals:
            low, high, method, why = intervals[metric]
            entry |= {"low": _json_safe(low), "high": _json_safe(high), **({"why": why} if why else {"method": method})}
            entry |= evaluation.support(metric)
        results[f"{stage}/{metric}"] = entry

    counts: dict[str, float] = {"samples": len(evaluation)}
    if evaluation.patients is not None:
        counts["patients"] = len(set(evaluation.patients))
    counts |= evaluation.counts
    results |= {f"{stage}/{name}": {"value": count} for name, count in counts.items()}
    if evaluation.notes:
        results["notes"] = evaluation.notes
    for metric, value in (validation or {}).items():
        results[f"val/{metric.removeprefix('val/')}"] = {"value": _json_safe(value)}
    return results


def format_table(results: Results, stage: str = "test") -> str:
    """A plain-text table of the metrics of one stage, classes indented below the mean over them.

    Where structures can be missed or absent, a second one says of each class how many were.

    Args:
        results: what :func:`build_results` gave.
        stage: which entries to show.
    """
    metrics = {key.removeprefix(f"{stage}/"): entry for key, entry in results.items() if key.startswith(f"{stage}/")}
    counts = {key: entry["value"] for key, entry in metrics.items() if key.partition("/")[0] in EMPTY}
    metrics = {key: entry for key, entry in metrics.items() if key.partition("/")[0] not in COUNTS}
    rows = [(stage, "value", "95 % interval", "positives")]
    for metric in [key for key in metrics if "/" not in key]:
        rows.append((metric, *_cells(metrics[metric])))
        rows += [
            (f"  {key.partition('/')[2]}", *_cells(entry))
            for key, entry in metrics.items()
            if key.startswith(f"{metric}/")
        ]
    found = "\n".join(table(rows))
    if not counts:
        return found
    classes = dict.fromkeys(key.partition("/")[2] for key in counts)
    empty = [[f"{counts[key]:g}" if (key := f"{kind}/{name}") in counts else "" for kind in EMPTY] for name in classes]
    head = (stage, *(kind.replace("_", " ") for kind in EMPTY))
    below = table([head, *((name, *cells) for name, cells in zip(classes, empty, strict=True))])
    return "\n".join([found, "", *below])


def _cells(entry: dict[str, Any]) -> tuple[str, str, str]:
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    interval = entry.get("why", "") if low is None else f"{low:.3f} to {high:.3f}"
    positives = f"{entry['positives']}/{entry['samples']}" if "positives" in entry else ""
    return "undefined" if value is None else f"{value:.3f}", interval, positives


def _json_safe(value: float) -> float | None:
    return value if math.isfinite(value) else None
