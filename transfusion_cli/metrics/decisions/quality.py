"""How far probabilities can be taken at their word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.calibration_error import calibration_error, chance
from transfusion_cli.metrics.decisions.logistic import logistic_estimate
from transfusion_cli.metrics.decisions.yes_or_no import YesOrNo
from transfusion_cli.metrics.estimate import Estimate, Sides
from transfusion_cli.metrics.intervals import Interval, symmetric, wilson

CHOSEN = "chosen class"
"""Of several classes: the question whether the most probable one is right, with its probability."""

MEASURES = ("brier", "ece", "calibration_slope", "calibration_intercept")
FURTHEST = 36.0
"""Log-odds beyond which a probability is 1 to the last bit, where only the probability is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality(YesOrNo):
    """Calibration of the probabilities of Q yes-or-no questions, one for each label or class, and these metrics of it.

    * ``brier``: the mean squared distance of probability and truth, of one question (Brier 1950).
    * ``ece``: the expected calibration error, debiased; see ``calibration_error``.
    * ``calibration_slope``: of a logistic regression of the truth on the log-odds (Cox 1958); 1 is right, less is
      overconfident.
    * ``calibration_intercept``: of the same with a slope of 1; 0 is right, less than 0 is too high a probability.

    Several classes have, beside one question each, whether the chosen class is right (``chosen class``). ``brier``
    and ``ece`` alone are means over labels or classes. Slope and intercept are undefined where the log-odds separate
    the cases.

    Args:
        probabilities: float64 (N, Q).
        log_odds: float64 (N, Q), of these.
    """

    probabilities: Tensor
    log_odds: Tensor

    @classmethod
    def of(cls, evaluation: ClassificationEvaluation) -> Self:
        """That of the probabilities of an evaluation."""
        questions = evaluation.questions
        names, p = list(questions.names), evaluation.probabilities.double()
        log_odds = (p if evaluation.scores is None else questions.scores).clone()
        if evaluation.scores is None:
            log_odds = p.logit().clamp(-FURTHEST, FURTHEST)
        truth, known = questions.truth, questions.known
        if evaluation.target == "multiclass":
            chosen = p.argmax(dim=1, keepdim=True)
            parts = [torch.cat([part, part.gather(1, chosen)], dim=1) for part in (p, log_odds, truth, known)]
            names, (p, log_odds, truth, known) = [*names, CHOSEN], parts
        return cls(
            index=evaluation.index,
            patients=evaluation.patients,
            names=names,
            probabilities=p,
            log_odds=log_odds,
            answers=truth,
            known=known,
        )

    def statistic(self, weights: Tensor) -> dict[str, Tensor]:
        """The four of each question."""
        found = {}
        for name, *columns in zip(self.names, *(part.T for part in self._parts), strict=True):
            known = columns[-1]
            p, odds, truth = (column[known] for column in columns[:-1])
            w, clusters = weights[known], self.clusters[known]
            y = truth.double()
            found[f"brier/{name}"] = w @ (p - y).square() / w.sum()
            found[f"ece/{name}"] = calibration_error(p, y, w, clusters)
            found[f"calibration_slope/{name}"] = _slope(odds, y, w)
            found[f"calibration_intercept/{name}"] = _intercept(odds, y, w)
        return found

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return self.probabilities, self.log_odds, self.answers, self.known

    def means(self, values: Mapping[str, float]) -> dict[str, list[str]]:
        """Means over labels or classes; of a single label all four, without its name."""
        own = [name for name in self.names if name != CHOSEN]
        kinds = MEASURES if len(own) == 1 else MEASURES[:2]
        names = {kind: [f"{kind}/{name}" for name in own] for kind in kinds}
        return {kind: [name for name in each if math.isfinite(values[name])] for kind, each in names.items()}

    def shown(self, names: Sequence[str]) -> list[str]:
        """Of a single label what has no name, of several also that of each."""
        if len(self.names) == 1:
            return list(MEASURES)
        order = [part for kind in MEASURES for part in (kind, *(f"{kind}/{name}" for name in self.names))]
        return [name for name in order if name in names]

    def sides(self, metric: str) -> Sides:
        """Positives and negatives: where one side has hardly any, nobody can tell how good its probabilities are."""
        at = self.names.index(metric.partition("/")[2])
        known, truth = self.known[:, at], self.answers[:, at]
        return {"positives": truth & known, "negatives": known & ~truth}

    def interval(self, metric: str, estimate: Estimate, confidence: float) -> Interval:
        """Wilson's of the Brier score; Student's t of the others.

        That of the calibration error begins at 0 unless a test finds the probabilities wrong: even debiased it is above
        0 by chance.
        """
        kind, _, name = metric.partition("/")
        if kind == "brier":
            return wilson(estimate, confidence)
        if kind == "ece":
            return self._error_interval(estimate, name, confidence)
        return symmetric(estimate, confidence)

    def _error_interval(self, estimate: Estimate, name: str, confidence: float) -> Interval:
        at = self.names.index(name)
        known = self.known[:, at]
        p, truth = self.probabilities[known, at], self.answers[known, at].double()
        low, high, method, _ = symmetric(estimate, confidence)
        if chance(p, truth, self.clusters[known]) > 1 - confidence:
            low = 0.0
        return Interval(max(0.0, low), min(1.0, high), f"{method}, and a test over bins")


def _slope(log_odds: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    positives, negatives = log_odds[truth == 1], log_odds[truth == 0]
    separate = not len(positives) or not len(negatives)
    separate = separate or bool(negatives.max() <= positives.min() or positives.max() <= negatives.min())
    if separate or not log_odds.isfinite().all():
        return torch.full((), torch.nan, dtype=torch.float64)
    design = torch.stack([log_odds, torch.ones_like(log_odds)], dim=1)
    return logistic_estimate(design, truth, weights)[0]


def _intercept(log_odds: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    if len(truth.unique()) < 2 or not log_odds.isfinite().all():
        return torch.full((), torch.nan, dtype=torch.float64)
    return logistic_estimate(torch.ones_like(log_odds)[:, None], truth, weights, log_odds)[0]
