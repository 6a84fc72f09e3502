"""Fitting of decisions to the evaluation of a validation split."""

from __future__ import annotations

from dataclasses import replace

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.decisions import Decisions, logits_of
from transfusion_cli.metrics.decisions.fits import Choice, few_patients, fit_classes, fit_label
from transfusion_cli.metrics.decisions.fitted_on import FittedOn
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule


def fit_decisions(
    evaluation: ClassificationEvaluation,
    fitted_on: FittedOn,
    method: Choice = "auto",
    rule: ThresholdRule | None = None,
) -> Decisions:
    """Calibration and thresholds of each label.

    Labels with fewer than ten patients on a side are left as they are, and have no threshold but a given one.

    Args:
        evaluation: of the validation split, its patients known where the data know them.
        fitted_on: which split that is.
        method: of calibration.
        rule: of thresholds; Youden's where None. Several classes have none.

    Raises:
        UserError: method or rule do not go with the kind of target.
    """
    check_kind(evaluation.target, method, rule)
    names, logits = tuple(evaluation.questions.names), logits_of(evaluation)
    truth, known, clusters = evaluation.questions.truth, evaluation.questions.known, evaluation.clusters
    if evaluation.target == "multiclass":
        rows = known[:, 0]
        one = fit_classes(logits[rows], evaluation.targets[rows].long(), clusters[rows])
        return Decisions("multiclass", names, dict.fromkeys(names, one), {}, "most probable", fitted_on)
    calibration: dict[str, Calibration] = {}
    for at, name in enumerate(names):
        rows = known[:, at]
        calibration[name] = fit_label(logits[rows, at], truth[rows, at], clusters[rows], method)
    rule = rule or ThresholdRule("youden")
    made = Decisions(evaluation.target, names, calibration, {}, str(rule), fitted_on)
    probabilities = made.calibrated(logits).numpy()
    thresholds = {}
    for at, name in enumerate(names):
        rows = known[:, at]
        if rule.kind == "given" or not few_patients(truth[rows, at], clusters[rows]):
            thresholds[name] = rule.choose(probabilities[rows.numpy(), at], truth[rows, at].numpy())
    return replace(made, thresholds=thresholds)


def check_kind(target: str, method: Choice, rule: ThresholdRule | None) -> None:
    """See that method and rule go with the kind of target.

    Raises:
        UserError: they do not.
    """
    if target not in ("binary", "multilabel", "multiclass"):
        raise UserError(
            f"calibrate is for labels and classes, and these targets are {target}.\n"
            "Train with a data set of binary, multilabel or multiclass targets."
        )
    if target == "multiclass" and method not in ("auto", "temperature"):
        raise UserError(f"{method} is for labels; several classes have one temperature.\nTry --method temperature")
    if target == "multiclass" and rule is not None:
        raise UserError("Of several classes the most probable is chosen, by no threshold.\nLeave out --threshold")
