"""What makes decisions of a network's scores, as it stands in ``decisions.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.fitted_on import FittedOn
from transfusion_cli.metrics.probabilities import log_odds
from transfusion_cli.targets import Target

FORMAT = 1
KINDS: tuple[Target, ...] = ("binary", "multilabel", "multiclass")


@dataclass(frozen=True)
class Decisions:
    """Calibration and threshold of each label, fitted on the validation split of a run, and where they come from.

    Args:
        kind: of target: binary, multilabel or multiclass.
        labels: the positive class, the labels, or the classes; K of them, as many as the network has logits.
        calibration: of each label; equal for all of several classes, a temperature.
        thresholds: on the calibrated probability of a label, which is called positive above it; none for several
            classes, of which the most probable is chosen, and for labels that too few patients have.
        rule: by which thresholds were chosen.
        fitted_on: the cases.
    """

    kind: Target
    labels: tuple[str, ...]
    calibration: Mapping[str, Calibration]
    thresholds: Mapping[str, float]
    rule: str
    fitted_on: FittedOn

    def log_odds(self, logits: Tensor) -> Tensor:
        """Calibrated log-odds, float64 (N, K); arguments as of ``calibrated``."""
        logits = logits.detach().cpu().double()
        if self.kind == "multiclass":
            return log_odds(self.kind, self.calibration[self.labels[0]].scale * logits)
        columns = [self.calibration[name].log_odds(logits[:, at]) for at, name in enumerate(self.labels)]
        return torch.stack(columns, dim=1)

    def calibrated(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, float64 (N, K), on the CPU.

        Args:
            logits: (N, K); of several classes they may be off by a constant in each row.
        """
        if self.kind == "multiclass":
            return (self.calibration[self.labels[0]].scale * logits.detach().cpu().double()).softmax(dim=1)
        return self.log_odds(logits).sigmoid()

    def affine(self) -> tuple[Tensor, Tensor] | None:
        """Scale and shift of the logits, float64 (K,) each; None where a label has no such (isotonic).

        The sigmoid of ``scale * logit + shift`` is the calibrated probability; of several classes the softmax.
        """
        each = [self.calibration[name] for name in self.labels]
        if not all(one.is_affine for one in each):
            return None
        scale, shift = zip(*((one.scale, one.shift) for one in each), strict=True)
        return torch.tensor(scale, dtype=torch.float64), torch.tensor(shift, dtype=torch.float64)

    def apply(self, evaluation: ClassificationEvaluation) -> ClassificationEvaluation:
        """The evaluation with calibrated probabilities.

        Raises:
            UserError: it is of other labels.
        """
        if evaluation.target != self.kind or tuple(evaluation.questions.names) != self.labels:
            raise UserError(
                f"The decisions are for {self.kind} targets ({', '.join(self.labels[:4])}), and these data are\n"
                f"{evaluation.target} ({', '.join(evaluation.questions.names[:4])}).\n"
                "Give the data of the run, or calibrate again: transfusion calibrate RUN"
            )
        logits = logits_of(evaluation)
        return replace(evaluation, probabilities=self.calibrated(logits), scores=self.log_odds(logits))

    def of_labels(self, names: Sequence[str]) -> Self:
        """Those of some of several labels; of classes, of which each image has one, all.

        Args:
            names: of labels, all of them known here.
        """
        if self.kind != "multilabel":
            return self
        kept = {name: self.thresholds[name] for name in names if name in self.thresholds}
        calibration = {name: self.calibration[name] for name in names}
        return replace(self, labels=tuple(names), calibration=calibration, thresholds=kept)

    def columns(self, calibrated: ClassificationEvaluation) -> dict[str, np.ndarray]:
        """Columns (N,) of a table: calibrated probabilities, and decisions where there is a threshold.

        Args:
            calibrated: what ``apply`` gave.
        """
        p = calibrated.probabilities.numpy()
        found = {f"calibrated_{name}": column for name, column in zip(self.labels, p.T, strict=True)}
        if self.kind == "multiclass":
            return found | {"decision": np.array(self.labels, dtype=object)[p.argmax(axis=1)]}
        thresholds = [(at, name) for at, name in enumerate(self.labels) if name in self.thresholds]
        return found | {f"decision_{name}": (p[:, at] > self.thresholds[name]).astype(int) for at, name in thresholds}

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "labels": list(self.labels),
            "calibration": {name: self.calibration[name].as_json() for name in self.labels},
            "threshold_rule": self.rule,
            "thresholds": {name: self.thresholds.get(name) for name in self.labels},
            "fitted_on": self.fitted_on.as_json(),
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Self:
        """From plain data.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another type.
            ValueError: something cannot be.
        """
        if content["format"] != FORMAT or content["kind"] not in KINDS:
            raise ValueError(f"format {content['format']}, kind {content['kind']}")
        labels = tuple(str(name) for name in content["labels"])
        thresholds = {name: float(value) for name, value in content["thresholds"].items() if value is not None}
        if not labels or not set(thresholds) <= {*labels}:
            raise ValueError("thresholds of labels that are not there")
        calibration = {name: Calibration.of_json(content["calibration"][name]) for name in labels}
        fitted_on = FittedOn.of_json(content["fitted_on"])
        return cls(content["kind"], labels, calibration, thresholds, str(content["threshold_rule"]), fitted_on)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``decisions.json``.

        Raises:
            UserError: it cannot be read, or is no such file.
        """
        try:
            return cls.of_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise UserError(
                f"{path} cannot be read: {reason}\n"
                "Fit it again (transfusion calibrate RUN writes one with the next number), or take it away."
            ) from None


def logits_of(evaluation: ClassificationEvaluation) -> Tensor:
    """Logits (N, K) that the probabilities of an evaluation are of: of several classes up to a constant in each row."""
    if evaluation.target == "multiclass":
        if evaluation.scores is None:
            return evaluation.probabilities.double().log()
        return torch.nn.functional.logsigmoid(evaluation.scores.double())  # log p of log-odds
    return evaluation.probabilities.double().logit() if evaluation.scores is None else evaluation.scores.double()
