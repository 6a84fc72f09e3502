"""Thresholds on a probability, and the rules by which one is chosen on validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from transfusion_cli.errors import UserError

RULES = ("youden", "f1", "sensitivity", "specificity")


@dataclass(frozen=True)
class ThresholdRule:
    """How the threshold of a label is chosen; a case is called positive where its probability is above it.

    Candidates lie midway between neighbouring probabilities, so that rounding moves no case across.

    * ``youden``: the most of sensitivity + specificity - 1 (Youden 1950).
    * ``f1``: the most of F1.
    * ``sensitivity``, ``specificity``: the highest threshold that reaches the first, the lowest that reaches the other.
    * ``given``: the number itself.

    Of equally good thresholds the lowest is taken, which misses the fewest.

    Args:
        kind: one of these.
        value: the target, or the number.
    """

    kind: str
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``youden``, ``f1``, ``sensitivity=0.95``, ``specificity=0.9`` or ``0.3``.

        Raises:
            UserError: it is none of these.
        """
        kind, equals, number = text.strip().lower().partition("=")
        if not equals and kind in RULES[:2]:
            return cls(kind)
        if equals and kind in RULES[2:] and 0 < _number(number) <= 1:
            return cls(kind, _number(number))
        if not equals and 0 < _number(kind) < 1:
            return cls("given", _number(kind))
        raise UserError(
            f"--threshold {text} is no rule.\n"
            "Take youden, f1, sensitivity=0.95, specificity=0.9, or a number between 0 and 1."
        )

    def __str__(self) -> str:
        return self.kind if self.value is None else f"{self.value:g}" if self.kind == "given" else self.stated

    @property
    def stated(self) -> str:
        """``sensitivity=0.95``."""
        return f"{self.kind}={self.value:g}"

    def choose(self, probabilities: np.ndarray, truth: np.ndarray) -> float:
        """The threshold of one label.

        Args:
            probabilities: (N,), of cases whose label is known.
            truth: bool (N,), with a case on either side.
        """
        if self.kind == "given" and self.value is not None:
            return self.value
        thresholds = candidates(probabilities)
        order = np.sort(probabilities[truth]), np.sort(probabilities[~truth])
        missed, rejected = (np.searchsorted(side, thresholds, side="right") for side in order)
        positives, negatives = map(len, order)
        sensitivity, specificity = 1 - missed / positives, rejected / negatives
        match self.kind:
            case "sensitivity":
                return float(thresholds[positives - missed >= math.ceil(positives * self._share)].max())
            case "specificity":
                return float(thresholds[rejected >= math.ceil(negatives * self._share)].min())
            case "f1":
                hits = positives - missed
                called = hits + negatives - rejected
                return float(thresholds[np.argmax(2 * hits / (positives + called))])
            case _:
                return float(thresholds[np.argmax((sensitivity + specificity).round(12))])

    @property
    def _share(self) -> float:
        assert self.value is not None
        return self.value - 1e-12  # 0.95 of 20 is 19, not a little more


def candidates(probabilities: np.ndarray) -> np.ndarray:
    """Thresholds that tell cases apart, ascending: one below all, those midway between neighbours, and 1."""
    values = np.unique(probabilities.astype(np.float64))
    middle = values[:-1] + np.diff(values) / 2
    middle = np.where(middle < values[1:], middle, values[:-1])  # neighbours to the last bit have nothing between
    return np.array([np.nextafter(0.0, -1.0) if values[0] == 0 else values[0] / 2, *middle, 1.0])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
