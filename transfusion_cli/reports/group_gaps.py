"""Gaps between groups of patients, as ``results.json`` has them."""

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.metrics.difference import Difference, holm
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.gaps import Gaps
from transfusion_cli.metrics.results import Results


def patients_in(evaluation: Evaluation, group: Subgroup) -> int:
    """Patients of a group, or its cases where none are known."""
    return len(evaluation.clusters[np.flatnonzero(group.member)].unique())


def group_gaps(
    evaluation: Evaluation, groups: Sequence[Subgroup], kinds: Collection[str], named: Callable[[str], str] = str
) -> Results:
    """``gap[GROUP]/METRIC`` for each group and metric: the group's minus that of all others of the same asking.

    Of two groups that make up an asking one gap is told. p is adjusted by Holm over all gaps of a metric, of whatever
    asking; of a metric of single labels, over all labels too.

    Args:
        evaluation: of all cases.
        groups: those that are large enough.
        kinds: metrics to compare by, without label.
        named: what a metric is called in ``results.json``.
    """
    entries: Results = {}
    families: dict[str, list[tuple[str, Difference]]] = {}
    done: list[Subgroup] = []
    for group in groups:
        mirrored = any(one.asked == group.asked and (one.member == group.others).all() for one in done)
        if mirrored or not group.others.any():
            continue
        done.append(group)
        gaps = Gaps(evaluation, group.member, group.others)
        for metric in evaluation.metrics:
            kind, _, label = metric.partition("/")
            if kind not in kinds:
                continue
            key = f"gap[{group.name}]/{named(metric)}"
            found = gaps[metric]
            families.setdefault(f"{kind}/each" if label else kind, []).append((key, found))
            entries[key] = {"value": _safe(found.value)}
            shared, either = gaps.labels(metric)
            if shared < either:
                entries[key] |= {"labels": shared, "labels_of_either": either}
    for family in families.values():
        for (key, found), adjusted in zip(family, holm([found.p for _, found in family]), strict=True):
            if found.why:
                entries[key]["why"] = found.why
            else:
                numbers = {"low": found.low, "high": found.high, "p": found.p, "p_holm": adjusted}
                entries[key] |= {name: _safe(value) for name, value in numbers.items()}
    return entries


def _safe(value: float) -> float | None:
    return value if math.isfinite(value) else None
