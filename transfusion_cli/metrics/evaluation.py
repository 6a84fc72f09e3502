"""What was predicted for a whole split: the one thing that reports, curves and comparisons know of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.bootstrap import Interval, bootstrap, cluster_codes

Statistic = Callable[[Tensor], dict[str, Tensor]]
"""Metrics (R,) by name under R weightings at once: float32 (C, R), how often each of C clusters counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation(ABC):
    """Predictions and truth of a split, each case once; a kind of task has a kind of evaluation.

    A kind says how its metrics follow from weights of clusters (``statistic``). The metrics themselves are those of
    equal weights, and their intervals those of weights drawn by patient: one formula for both.

    Args:
        index: int64 (N,), the row of each case in the table of samples; -1 - row where it could not be read.
        patients: the patient of each case (N,), where they are known.
        loss: mean loss of the split, where it was measured.
    """

    index: Tensor
    patients: Any = None
    loss: float | None = None

    @abstractmethod
    def statistic(self, clusters: Tensor) -> Statistic:
        """How metrics follow from weights.

        Args:
            clusters: int64 (N,), the cluster of each case, from 0 to C - 1.
        """

    @abstractmethod
    def support(self, metric: str) -> dict[str, int]:
        """How many cases, and how many positive ones where that means something, a metric rests on."""

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """What the split holds, by name, such as positives of each class."""

    @abstractmethod
    def columns(self) -> dict[str, np.ndarray]:
        """What was predicted, case by case: columns (N,) of a table."""

    @abstractmethod
    def truth(self) -> dict[str, np.ndarray]:
        """What is true, case by case: columns (N,) of a table."""

    @abstractmethod
    def take(self, rows: Any) -> Self:
        """The evaluation of some cases alone, as a mask or positions; without the loss, which is of all."""

    def by_exam(self, exams: np.ndarray) -> Self | None:
        """The evaluation of whole examinations, several cases as one answer; None where that means nothing.

        Args:
            exams: the examination of each case (N,).
        """
        return None

    def of_patients(self, patients: Any) -> Self:
        """The same with patients known, to draw by."""
        return replace(self, patients=patients)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Metrics by name; what the data leave undefined is NaN, never 0."""
        clusters = torch.zeros(len(self), dtype=torch.int64) if self.patients is None else self._clusters
        count = 1 + int(clusters.max()) if len(self) else 1
        found = {name: value.item() for name, value in self.statistic(clusters)(torch.ones(count, 1)).items()}
        return found if self.loss is None else {"loss": self.loss, **found}

    def intervals(self, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Mapping[str, Interval]:
        """Percentile intervals of all metrics by bootstrap over patients, or over cases where none are known.

        Args:
            resamples: number of resamples.
            confidence: probability that an interval is meant to cover.
            seed: equal seeds give equal intervals.
        """
        clusters = self._clusters
        return bootstrap(self.statistic(clusters), clusters, resamples, confidence, seed)

    @cached_property
    def _clusters(self) -> Tensor:
        return cluster_codes(self.patients, len(self))

    @property
    def several_each(self) -> bool:
        """Whether patients are known and some have more than one case."""
        return self.patients is not None and len(self._clusters.unique()) < len(self)
