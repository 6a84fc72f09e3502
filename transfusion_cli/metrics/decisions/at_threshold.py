"""What decisions at thresholds are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decision_metrics import DecisionCounts
from transfusion_cli.metrics.decisions.yes_or_no import YesOrNo
from transfusion_cli.metrics.estimate import Estimate, Sides
from transfusion_cli.metrics.intervals import Interval, symmetric, wilson

MEASURES = ("sensitivity", "specificity", "ppv", "npv", "net_benefit")


@dataclass(frozen=True, kw_only=True, eq=False)
class AtThreshold(YesOrNo):
    """Decisions of Q labels, each at a threshold of its own, and these metrics of them.

    * ``sensitivity``, ``specificity``: the share of the positives that are called so, and of the negatives.
    * ``ppv``, ``npv``: the share of those called positive that are, and of those called negative; as common as here.
    * ``net_benefit``: true positives less false ones times t / (1 - t), by case, for a threshold t on the probability
      (Vickers & Elkin 2006).

    Args:
        thresholds: of each label.
        chosen: bool (N, Q), called positive.
    """

    thresholds: Sequence[float]
    chosen: Tensor

    @classmethod
    def of(cls, evaluation: ClassificationEvaluation, thresholds: Mapping[str, float]) -> Self:
        """Those of probabilities above the thresholds; labels without one are left out.

        Args:
            evaluation: of labels, its probabilities those that the thresholds are for.
            thresholds: by label.
        """
        questions = evaluation.questions
        names = [name for name in questions.names if name in thresholds]
        at = [questions.names.index(name) for name in names]
        levels = torch.tensor([thresholds[name] for name in names], dtype=torch.float64)
        return cls(
            index=evaluation.index,
            patients=evaluation.patients,
            names=names,
            thresholds=levels.tolist(),
            chosen=evaluation.probabilities[:, at].double() > levels,
            answers=questions.truth[:, at],
            known=questions.known[:, at],
        )

    def statistic(self, weights: Tensor) -> dict[str, Tensor]:
        """The five of each label."""
        found: dict[str, Tensor] = {}
        rows = zip(self.names, self.thresholds, self.answers.T, self.known.T, self.chosen.T, strict=True)
        for name, threshold, truth, known, chosen in rows:
            counts = DecisionCounts.of(truth, known, chosen, weights)
            false = counts.chosen - counts.hits
            rejections = counts.known - counts.positives - false
            odds = threshold / (1 - threshold) if threshold < 1 else math.nan
            values = (
                counts.hits / counts.positives,
                rejections / (counts.known - counts.positives),
                counts.hits / counts.chosen,
                rejections / (counts.known - counts.chosen),
                (counts.hits - odds * false) / counts.known,
            )
            found |= {f"{kind}/{name}": value for kind, value in zip(MEASURES, values, strict=True)}
        return found

    def sides(self, metric: str) -> Sides:
        """The cases that a share is of; all for the net benefit."""
        kind, _, name = metric.partition("/")
        at = self.names.index(name)
        truth, known, chosen = (part[:, at] for part in (self.answers, self.known, self.chosen))
        return {
            "sensitivity": {"positives": truth & known},
            "specificity": {"negatives": known & ~truth},
            "ppv": {"called positive": known & chosen},
            "npv": {"called negative": known & ~chosen},
            "net_benefit": {"patients": known},
        }[kind]

    def interval(self, metric: str, estimate: Estimate, confidence: float) -> Interval:
        """Wilson's of shares; Student's t of the net benefit, which may be below 0."""
        if metric.startswith("net_benefit"):
            return symmetric(estimate, confidence)
        return wilson(estimate, confidence, share=True)
