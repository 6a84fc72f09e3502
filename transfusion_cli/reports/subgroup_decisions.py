"""What probabilities and decisions are worth in each group of patients."""

from collections.abc import Sequence
from typing import Any

from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.at_threshold import AtThreshold
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.decisions.quality import Quality
from transfusion_cli.metrics.estimate import FEWEST
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.results import Results, build_results
from transfusion_cli.reports.decided import CALIBRATED, quality_results
from transfusion_cli.reports.group_gaps import group_gaps, patients_in
from transfusion_cli.reports.subgroups import Told
from transfusion_cli.text import table

COMPARED = ("calibration_slope", "calibration_intercept")
"""Measures of calibration that groups are compared by; Brier score and ECE also go with prevalence and size."""

DECIDED = ("sensitivity", "specificity")
MANY = 4
"""Labels beyond which the table has only those whose gaps are told from chance; ``results.json`` has all."""


def tell_subgroup_decisions(evaluation: Evaluation, groups: Sequence[Subgroup], made: Decisions | None) -> Told:
    """Calibration in each group and, where there are thresholds, sensitivity and specificity at them, with gaps.

    Everything is of the calibrated probabilities (``test[GROUP]/calibrated_brier``) where there are decisions, else of
    the network's own (``test[GROUP]/brier``). Thresholds are those of the run for all groups. Gaps, their p and groups
    that are left out are as of ``tell_subgroups``.

    Args:
        evaluation: of the test split, before calibration, its patients known where the data know them.
        groups: masks of its cases.
        made: what was fitted on validation, if anything.
    """
    kept = [group for group in groups if patients_in(evaluation, group) >= FEWEST]
    if not kept or not isinstance(evaluation, ClassificationEvaluation):
        return Told({}, "")
    prefix = CALIBRATED if made else ""
    judged = made.apply(evaluation) if made else evaluation
    results: Results = {}
    for group in kept:
        results |= quality_results(judged.take(group.member), f"test[{group.name}]", prefix)
    results |= group_gaps(Quality.of(judged), kept, COMPARED, lambda metric: f"{prefix}{metric}")
    if made and made.thresholds:
        decided = AtThreshold.of(judged, made.thresholds)
        for group in kept:
            stage = f"test[{group.name}]"
            entries = build_results(decided.take(group.member), stage)
            for name in decided.names:
                for kind in DECIDED:
                    results[f"{stage}/{kind}_at_threshold/{name}"] = entries[f"{stage}/{kind}/{name}"]
        results |= group_gaps(decided, kept, DECIDED, _at_threshold)
    names = list(evaluation.questions.names)
    return Told(results, _text(kept, names, prefix, results))


def _at_threshold(metric: str) -> str:
    kind, _, name = metric.partition("/")
    return f"{kind}_at_threshold/{name}"


def _text(groups: Sequence[Subgroup], names: list[str], prefix: str, results: Results) -> str:
    """One table: a row for each group and label."""
    single, shown = len(names) == 1, names
    if len(names) > MANY:
        shown = [name for name in names if any(_differs(results, group, name) for group in groups)]
    head = ("group", "label", "Brier", "ECE", "slope", "intercept")
    rows = [(*head, *(title for kind in DECIDED for title in (f"{kind} at threshold", "gap", "p (Holm)")))]
    for group in groups:
        each = shown if single else ["", *shown]
        rows += [(group.name, name, *_row(results, group, prefix, name, single)) for name in each]
    of = "calibrated probabilities" if prefix else "the network's probabilities (nothing was calibrated)"
    lines = [f"Calibration and decisions in subgroups, of {of}", *table(rows)]
    if left := len(names) - len(shown):
        lines.append(f"results.json has {left} more labels, none with a gap at p (Holm) < 0.05.")
    return "\n".join(lines)


def _differs(results: Results, group: Subgroup, name: str) -> bool:
    gaps = (results.get(f"gap[{group.name}]/{kind}_at_threshold/{name}", {}) for kind in DECIDED)
    return any((gap.get("p_holm") or 1) < 0.05 for gap in gaps)


def _row(results: Results, group: Subgroup, prefix: str, name: str, single: bool) -> tuple[str, ...]:
    """Cells of one group and label; the means over labels have no name."""

    def own(key: str) -> dict[str, Any]:
        return results.get(f"test[{group.name}]/{key}", {})

    label = f"/{name}" if name and not single else ""
    kinds = ("brier", "ece", *(COMPARED if name else ()))
    cells = [_number(own(f"{prefix}{kind}{label}")) for kind in kinds] + [""] * (4 - len(kinds))
    if name and (why := own(f"{prefix}brier{label}").get("why")):
        cells = [why, "", "", ""]
    for kind in DECIDED:
        gap = results.get(f"gap[{group.name}]/{kind}_at_threshold/{name}", {})
        cells += [_number(own(f"{kind}_at_threshold/{name}")), _number(gap, "+.3f", False), _p(gap.get("p_holm"))]
    return tuple(cells)


def _number(entry: dict[str, Any], form: str = ".3f", alone: bool = True) -> str:
    """``0.912 (0.880 to 0.940)``; a gap without an interval is no number to read."""
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "undefined" if "value" in entry and alone else ""
    if low is None or high is None:
        return f"{value:{form}}" if alone else ""
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
