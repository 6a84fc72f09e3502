"""Calibration and thresholds that a run keeps, in words."""

from __future__ import annotations

import re

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.versions import newest

_NAMES = re.compile(r"(calibrated_)?(brier|ece|calibration_slope|calibration_intercept)|threshold|\w+_at_[\w.]+")
"""Metrics of ``results.json`` that are about calibration and decisions."""

MEASURES = {"brier": "Brier score", "ece": "ECE", "calibration_slope": "slope", "calibration_intercept": "intercept"}


def is_decision(metric: str) -> bool:
    """Whether a metric of ``results.json``, without stage, is one of calibration or decisions."""
    return _NAMES.fullmatch(metric.partition("/")[0]) is not None


def in_words(metric: str) -> str:
    """A metric's name as tables have it: ``calibrated slope``, ``sensitivity at threshold, effusion``."""
    kind, _, label = metric.partition("/")
    if not is_decision(metric):
        return metric
    plain = kind.removeprefix("calibrated_")
    told = MEASURES.get(plain, plain.replace("_", " "))
    return ("calibrated " if plain != kind else "") + told + (f", {label}" if label else "")


def decisions_of(folder: RunFolder) -> Decisions | None:
    """The newest of a run; None where there are none, or none that can be read."""
    try:
        return Decisions.read(newest(folder.decisions))
    except UserError:
        return None


def rows(made: Decisions) -> list[list[str]]:
    """Label, how it is calibrated, threshold."""
    thresholds = {name: f"{value:.4g}" for name, value in made.thresholds.items()}
    return [[name, _how(made.calibration[name]), thresholds.get(name, "none")] for name in made.labels]


def about(made: Decisions) -> str:
    """By which rule, and on what it was fitted."""
    on = made.fitted_on
    many = f"{len(on.samples):,} samples" + (f" of {len(on.patients):,} patients" if on.patients else "")
    return f"Fitted on the {on.split} split, {many}. Thresholds: {made.rule}."


def _how(one: Calibration) -> str:
    if one.why:
        return f"{one.method} ({one.why})"
    if one.method == "none" or not one.is_affine:
        return one.method
    return f"{one.method}, scale {one.scale:.3g}, shift {one.shift:.3g} of the logit"
