"""Decisions that were fitted on validation, beside what is tested or predicted."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import Split
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.at_threshold import MEASURES, AtThreshold
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.decisions.prevalence import PREVALENCES, predictive_values
from transfusion_cli.metrics.decisions.quality import Quality
from transfusion_cli.metrics.results import Results, build_results
from transfusion_cli.reports.decision_tables import calibration_table, left_alone, threshold_table
from transfusion_cli.reports.provenance import file_hash
from transfusion_cli.run_folder import RunFolder

log = logging.getLogger(__name__)

CALIBRATED = "calibrated_"
"""What stands before the measures of calibrated probabilities in ``results.json``."""


class Decided(NamedTuple):
    """Decisions, and the file that they stand in."""

    made: Decisions
    path: Path


def decisions_for(
    checkpoint: str | None, data: MedicalDataModule, split: Split, mirror: bool = False
) -> Decided | None:
    """The newest decisions in the run folder of a checkpoint that were fitted for it; None where there are none.

    Those for another checkpoint are left out, as are those for plain predictions where these are means over mirror
    images, and the reverse. Those that were fitted on a case of the split, or on a patient of theirs, are no good
    there. What ``test`` or ``predict`` use comes through here alone.

    Args:
        checkpoint: what is evaluated.
        data: on what.
        split: of these.
        mirror: whether predictions are means over mirror images.

    Raises:
        UserError: the file cannot be read, or a test would be of what it was fitted on.
    """
    there = [Decided(Decisions.read(path), path) for path in RunFolder.decisions_of(checkpoint)]
    if checkpoint is None or not there:
        return None
    own = file_hash(Path(checkpoint))
    fitting = [one for one in there if one.made.fitted_on.checkpoint_sha256 == own] or there[:1]
    found = next((one for one in fitting if one.made.fitted_on.mirror == mirror), fitting[0])
    if not unseen(found, data, split):
        return None
    origin = found.made.fitted_on
    if origin.checkpoint_sha256 == own and origin.mirror == mirror:
        return found
    if origin.checkpoint_sha256 == own:
        kinds = {True: "means over mirror images", False: "plain ones"}
        log.warning(
            "%s was fitted to predictions that are %s, and these are %s: it is not used.\n"
            "To fit one: transfusion calibrate %s --model.mirror %s",
            *(found.path, kinds[origin.mirror], kinds[mirror], shlex.quote(str(checkpoint)), str(mirror).lower()),
        )
        return None
    log.warning(
        "%s was fitted for another checkpoint (%s of %s): it is not used.\nTo fit one: transfusion calibrate %s",
        found.path,
        origin.checkpoint if origin.epoch is None else f"{origin.checkpoint}, epoch {origin.epoch},",
        origin.run,
        shlex.quote(str(checkpoint)),
    )
    return None


def unseen(found: Decided, data: MedicalDataModule, split: Split) -> bool:
    """Whether decisions were fitted on no case of a split and on no patient of theirs.

    Images without labels measure nothing, whoever they are of.

    Raises:
        UserError: they were fitted on some of a test split, and not even ``--split data_unchecked`` was said.
    """
    if split == "predict":
        return True
    samples = data.samples
    rows = samples.rows(split)
    patients = None if samples.patients is None else samples.patients[rows]
    alike = found.made.fitted_on.shares(samples.ids[rows], patients)
    if not alike.any():
        return True
    many = f"{int(alike.sum())} of these {len(rows)} {split} samples, or on their patients"
    if split != "test" or data.authority == "data_unchecked":
        log.warning("%s was fitted on %s: it is not used.", found.path, many)
        return False
    raise UserError(
        f"{found.path} was fitted on {many}: for example {samples.ids[rows][alike][0]}\n"
        "Nothing is tested on what it was fitted on. Fit one on this run's validation: transfusion calibrate RUN\n"
        "To test without: take the file away."
    )


def decided_report(found: Decided, results: Results) -> str:
    """Tables of calibration and decisions of a test, and where they come from.

    Args:
        found: the decisions.
        results: with what ``decided_results`` gave.
    """
    made, origin = found.made, found.made.fitted_on
    tables = [calibration_table(made, results, "test"), threshold_table(made, results, "test")]
    rule = f"; thresholds by {made.rule}" if made.thresholds else ""
    fitted = f"fitted on {len(origin.samples):,} {origin.split} samples{rule}"
    head = f"Calibration and decisions of {found.path.name}, {fitted}"
    return "\n\n".join(["\n".join([head, tables[0]]), *filter(None, [tables[1], "\n".join(left_alone(made))])])


def decided_results(made: Decisions, evaluation: ClassificationEvaluation, stage: str) -> Results:
    """What ``results.json`` says of calibration and decisions, under flat names like all metrics.

    ``brier``, ``ece``, ``calibration_slope`` and ``calibration_intercept`` of the network's own probabilities, the same
    behind ``calibrated_``; ``threshold``, and at it ``sensitivity_at_threshold`` and so on, for each label;
    ``ppv_at_prevalence_0.01`` and ``npv_at_prevalence_0.01``, at that prevalence.

    Args:
        made: the decisions.
        evaluation: before calibration.
        stage: what stands before the slash.
    """
    calibrated = made.apply(evaluation)
    found = quality_results(evaluation, stage) | quality_results(calibrated, stage, CALIBRATED)
    if made.kind == "multiclass":
        return found
    found |= {f"{stage}/threshold/{name}": {"value": value} for name, value in made.thresholds.items()}
    return found | threshold_results(AtThreshold.of(calibrated, made.thresholds), stage)


def threshold_results(decided: AtThreshold, stage: str) -> Results:
    """What decisions are worth, as entries of ``results.json``; the net benefit where the thresholds are known.

    Args:
        decided: of labels.
        stage: what stands before the slash.
    """
    found, entries = Results(), _entries(decided, stage)
    for name, threshold in zip(decided.names, decided.thresholds, strict=True):
        kinds = [kind for kind in MEASURES if kind != "net_benefit" or np.isfinite(threshold)]
        found |= {f"{stage}/{kind}_at_threshold/{name}": entries[f"{kind}/{name}"] for kind in kinds}
        found |= {f"{stage}/{key}/{name}": entry for key, entry in _elsewhere(decided, name).items()}
    return found


def quality_results(evaluation: ClassificationEvaluation, stage: str, prefix: str = "") -> Results:
    """How well probabilities are calibrated, as entries of ``results.json``.

    Args:
        evaluation: with these probabilities.
        stage: what stands before the slash.
        prefix: what stands before the name of each measure.
    """
    entries = _entries(Quality.of(evaluation), stage)
    counts = ("samples", "patients")
    return {f"{stage}/{prefix}{name}": entry for name, entry in entries.items() if name.split("/")[0] not in counts}


def _entries(evaluation: Quality | AtThreshold, stage: str) -> Results:
    return {name.removeprefix(f"{stage}/"): entry for name, entry in build_results(evaluation, stage).items()}


def _elsewhere(decided: AtThreshold, name: str) -> dict[str, Any]:
    """PPV and NPV at other prevalences, as entries of ``results.json``."""
    intervals, found = decided.intervals(), {}
    first, second = ((decided.metrics[key], intervals[key]) for key in (f"sensitivity/{name}", f"specificity/{name}"))
    for prevalence in PREVALENCES:
        for kind, (value, interval) in zip(("ppv", "npv"), predictive_values(first, second, prevalence), strict=True):
            low, high, method, why = interval
            limits = {"low": _safe(low), "high": _safe(high), **({"why": why} if why else {"method": method})}
            found[f"{kind}_at_prevalence_{prevalence:g}"] = {"value": _safe(value), **limits}
    return found


def _safe(value: float) -> float | None:
    return value if np.isfinite(value) else None
