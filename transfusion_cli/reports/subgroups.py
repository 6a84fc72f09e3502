"""What a test says of groups of patients: each group, and how far it is from the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.metrics.estimate import FEWEST
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.results import Results, build_results
from transfusion_cli.reports.group_gaps import group_gaps, patients_in
from transfusion_cli.text import table

HEADLINE = ("auroc", "sensitivity", "specificity", "balanced_accuracy", "kappa", "dice")
"""Metrics by which groups can be compared; average precision and F1 go up with prevalence alone."""

AGAINST = "the rest: all samples in another group of the same asking"


class Told(NamedTuple):
    """Entries of ``results.json``, and the same as text; both empty where no groups were asked for."""

    results: Results
    text: str


def tell_subgroups(evaluation: Evaluation, groups: Sequence[Subgroup]) -> Told:
    """Every metric of each group, and the gaps between groups.

    A gap is the metric of a group minus that of the rest, all cases in another group of the same asking (those of which
    the table says nothing are in neither). Of two groups that make up an asking one gap is told, which is the other's
    but for its sign. p is adjusted by Holm over all gaps of a metric, of whatever asking; of a metric of single labels,
    over all labels too. Groups of fewer than ``FEWEST`` patients are named and left out.

    Args:
        evaluation: of the test split, its patients known where the data know them.
        groups: masks of its cases.
    """
    if not groups:
        return Told({}, "")
    patients = {group.name: patients_in(evaluation, group) for group in groups}
    kept = [group for group in groups if patients[group.name] >= FEWEST]
    left_out = {group.name: patients[group.name] for group in groups if patients[group.name] < FEWEST}
    unknown = {one.asked: _unknown(one) for one in groups}
    results: Results = {}
    for group in kept:
        part = build_results(evaluation.take(group.member), f"test[{group.name}]")
        part.pop("notes", None)
        results |= part
    results |= group_gaps(evaluation, kept, HEADLINE)
    results["subgroups"] = {
        "columns": {group.asked: group.column for group in groups},
        "against": AGAINST,
        "left_out": {name: f"fewer than {FEWEST} patients ({count})" for name, count in left_out.items()},
        "not_known": {asked: count for asked, count in unknown.items() if count},
        "p_holm": "over all gaps of a metric",
    }
    return Told(results, _text(evaluation, kept, patients, results))


def _unknown(group: Subgroup) -> int:
    return int((~(group.member | group.others)).sum())


def _text(evaluation: Evaluation, groups: Sequence[Subgroup], patients: dict[str, int], results: Results) -> str:
    known = evaluation.patients is not None
    lines = ["Subgroups of the test split; gap: a group minus the rest of its column", ""]
    metrics = [metric for metric in HEADLINE if metric in evaluation.metrics]
    head = ("group", "patients" if known else "images", "value", "95 % interval", "gap", "95 % interval of the gap")
    for metric in metrics if groups else ():
        rows: list[tuple[str, ...]] = [(metric, *head[1:], "p", "p (Holm)")]
        for group in groups:
            own = results.get(f"test[{group.name}]/{metric}")
            if own is None:
                continue
            gap = results.get(f"gap[{group.name}]/{metric}", {})
            rows.append((group.name, f"{patients[group.name]:,}", *_cells(own), *_gap_cells(gap)))
        lines += [*table(rows), ""]
    said = results["subgroups"]
    if left_out := said["left_out"]:
        lines.append(f"Left out: {', '.join(f'{name}, {why}' for name, why in left_out.items())}.")
    lines += [f"Not known of {count:,} samples: {asked}." for asked, count in said["not_known"].items()]
    fewer = {
        f"{entry['labels']} of {entry['labels_of_either']} labels in the gap of {key[4:].partition(']')[0]}"
        for key, entry in results.items()
        if "labels" in entry and entry["value"] is not None
    }
    lines += [f"A mean is over the labels that both sides have: {', '.join(sorted(fewer))}."] if fewer else []
    return "\n".join(lines).rstrip()


def _cells(entry: dict[str, Any]) -> tuple[str, str]:
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    interval = entry.get("why", "") if low is None else f"{low:.3f} to {high:.3f}"
    return "undefined" if value is None else f"{value:.3f}", interval


def _gap_cells(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    if entry.get("value") is None:
        return "", entry.get("why", ""), "", ""
    if "why" in entry:
        return f"{entry['value']:+.3f}", entry["why"], "", ""
    return f"{entry['value']:+.3f}", f"{entry['low']:+.3f} to {entry['high']:+.3f}", _p(entry["p"]), _p(entry["p_holm"])


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
