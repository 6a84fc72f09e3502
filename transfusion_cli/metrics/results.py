"""What ``results.json`` says: every number under one flat name, with its interval and its counts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from torch import Tensor

from transfusion_cli.metrics.bootstrap import Interval, cluster_codes
from transfusion_cli.metrics.one_vs_rest import answers, question_names
from transfusion_cli.targets import Target

Results = dict[str, dict[str, Any]]
"""``{"test/auroc": {"value": 0.91, "low": 0.88, "high": 0.94, ...}, ...}``; undefined numbers are ``None``."""

COUNTS = ("samples", "patients", "positives")


def build_results(
    target: Target,
    class_names: Sequence[str],
    metrics: Mapping[str, float],
    intervals: Mapping[str, Interval],
    targets: Tensor,
    patients: Sequence[Hashable] | None = None,
    validation: Mapping[str, float] | None = None,
    stage: str = "test",
) -> Results:
    """Everything ``results.json`` says about one evaluation.

    Each metric has its ``value``; with an interval also ``low``, ``high``, ``undefined_resamples`` (how many resamples
    left it undefined) and ``samples`` (those with a known label; for a mean over labels, those with any), and if it
    is of one class, ``positives`` among them. ``<stage>/samples``, ``<stage>/patients`` (where known) and, for each
    class or label (binary: the positive class), ``<stage>/positives/<class>`` are counts.

    Args:
        target: The kind of target.
        class_names: K class names, or L label names.
        metrics: What ``classification_metrics`` gave, and maybe more, such as the loss.
        intervals: What ``bootstrap_intervals`` gave; a metric without one has a value alone.
        targets: float ``(N, L)`` or int64 ``(N,)``, of the same samples.
        patients: The patient of each sample, if known.
        validation: Metrics of the same weights on the validation split, names with or without ``val/``.
        stage: What stands before the slash.
    """
    truth, known = answers(target, class_names, targets)
    names = question_names(target, class_names)
    samples = dict(zip(names, known.sum(dim=0).tolist(), strict=True))
    positives = dict(zip(names, truth.sum(dim=0).tolist(), strict=True))

    results: Results = {}
    for metric, value in metrics.items():
        entry: dict[str, Any] = {"value": _json_safe(value)}
        if metric in intervals:
            low, high, undefined = intervals[metric]
            entry |= {"low": _json_safe(low), "high": _json_safe(high), "undefined_resamples": undefined}
            name = names[0] if target == "binary" else metric.partition("/")[2]
            if name:
                entry |= {"samples": samples[name], "positives": positives[name]}
            else:
                entry["samples"] = int(known.any(dim=1).sum())
        results[f"{stage}/{metric}"] = entry

    counts = {"samples": len(targets)}
    if patients is not None:
        counts["patients"] = len(cluster_codes(patients, len(targets)).unique())
    counts |= {f"positives/{name}": count for name, count in positives.items()}
    results |= {f"{stage}/{name}": {"value": count} for name, count in counts.items()}
    for metric, value in (validation or {}).items():
        results[f"val/{metric.removeprefix('val/')}"] = {"value": _json_safe(value)}
    return results


def format_table(results: Results, stage: str = "test", confidence: float = 0.95) -> str:
    """A plain-text table of the metrics of one stage, classes indented below the mean over them.

    Args:
        results: What :func:`build_results` gave.
        stage: Which entries to show.
        confidence: What the intervals were made for; names their column.
    """
    metrics = {key.removeprefix(f"{stage}/"): entry for key, entry in results.items() if key.startswith(f"{stage}/")}
    metrics = {key: entry for key, entry in metrics.items() if key.partition("/")[0] not in COUNTS}
    rows = [(stage, "value", f"{100 * confidence:g} % interval", "positives")]
    for metric in [key for key in metrics if "/" not in key]:
        rows.append((metric, *_cells(metrics[metric])))
        rows += [
            (f"  {key.partition('/')[2]}", *_cells(entry))
            for key, entry in metrics.items()
            if key.startswith(f"{metric}/")
        ]
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in zip(*columns, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _cells(entry: dict[str, Any]) -> tuple[str, str, str]:
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    interval = "" if "low" not in entry else "undefined" if low is None else f"{low:.3f} to {high:.3f}"
    positives = f"{entry['positives']}/{entry['samples']}" if "positives" in entry else ""
    return "undefined" if value is None else f"{value:.3f}", interval, positives


def _json_safe(value: float) -> float | None:
    return value if math.isfinite(value) else None
