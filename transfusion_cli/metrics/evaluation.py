"""What was predicted for a whole split: the one thing that reports, curves and comparisons know of a task."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.clusters import cluster_codes
from transfusion_cli.metrics.estimate import FEWEST, Estimate, Sides, covariance
from transfusion_cli.metrics.intervals import UNDEFINED, Interval, mover, too_few, wilson


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation(ABC):
    """Predictions and truth of a split, each case once; a kind of task has a kind of evaluation.

    A kind says how its metrics follow from weights of cases (``statistic``), and which are means of others. A metric
    is that of equal weights; how it changes with them says what it owes to each patient, and so what interval it has
    and how it differs from that of another run: one formula for all.

    Args:
        index: int64 (N,), the row of each case in the table of samples; -1 - row where it could not be read.
        patients: the patient of each case (N,), where they are known.
        loss: mean loss of the split, where it was measured.
    """

    index: Tensor
    patients: Any = None
    loss: float | None = None

    @abstractmethod
    def statistic(self, weights: Tensor) -> dict[str, Tensor]:
        """Float64 scalars by name, which can be differentiated by the weights; NaN where undefined, never 0.

        Args:
            weights: float64 (N,), how much each case counts.
        """

    def means(self, values: Mapping[str, float]) -> dict[str, list[str]]:
        """Metrics that are means of others: which ones, by name; none of these leaves the metric undefined.

        Args:
            values: what ``statistic`` says under equal weights.
        """
        return {}

    def shown(self, names: Sequence[str]) -> Sequence[str]:
        """Which of all names are metrics of their own, in the order of tables."""
        return names

    def sides(self, metric: str) -> Sides:
        """The cases that a metric of ``statistic`` is made of: those on either side of a question, or all."""
        return {"patients": torch.ones(len(self), dtype=torch.bool)}

    def needed(self, metric: str) -> int:
        """Patients on a side of a metric of ``statistic`` below which it has no interval."""
        return FEWEST

    def interval(self, metric: str, estimate: Estimate, confidence: float) -> Interval:
        """The interval of a metric of ``statistic``; Wilson's, unless a kind knows of a better one."""
        return wilson(estimate, confidence)

    @abstractmethod
    def support(self, metric: str) -> dict[str, int]:
        """How many cases, and how many positive ones where that means something, a metric rests on."""

    @property
    @abstractmethod
    def counts(self) -> Mapping[str, float]:
        """What the split holds, by name, such as positives of each class."""

    @property
    def notes(self) -> dict[str, str]:
        """What a reader has to know of how the metrics are meant, by subject."""
        return {}

    @abstractmethod
    def columns(self) -> dict[str, np.ndarray]:
        """What was predicted, case by case: columns (N,) of a table, or (R,) as ``case_of_row`` says."""

    @abstractmethod
    def truth(self) -> dict[str, np.ndarray]:
        """What is true, and what follows from it: columns as of ``columns``."""

    def reference(self) -> dict[str, np.ndarray]:
        """Columns by which two evaluations are seen to be of the same test: the truth, and nothing of a prediction."""
        return self.truth()

    @property
    def case_of_row(self) -> Tensor:
        """Int64 (R,), the position of the case that each row of the tables is about; by default a row a case."""
        return torch.arange(len(self))

    @classmethod
    def of_table(cls, columns: Mapping[str, np.ndarray], metrics: Collection[str]) -> Self | None:
        """Make an evaluation again from the file that its columns went to; None for a file of another kind.

        A kind that writes R rows a case, such as one for each class, finds those of a case together and in the order
        that it wrote them in: the evaluation has an R-th as many cases as the file has rows, in the same order. Ids and
        patients are seen to by whoever reads the file.

        Args:
            columns: what ``columns`` and ``truth`` wrote, object (N * R,): texts, empty where there was nothing.
            metrics: names of what was measured, without split; they may tell kinds of target with equal columns apart.

        Raises:
            ValueError: a text that should be a number is none.
            KeyError: there is no column, or no class, of that name.
        """
        return None

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
        values = dict(self._values)
        for name, parts in self._means.items():
            values[name] = sum(values[part] for part in parts) / len(parts) if parts else math.nan
        found = {name: values[name] for name in self.shown(list(values))}
        return found if self.loss is None else {"loss": self.loss, **found}

    def intervals(self, confidence: float = 0.95) -> dict[str, Interval]:
        """Intervals of all metrics but the loss, over patients, or over cases where none are known.

        Args:
            confidence: probability that an interval is meant to cover.
        """
        estimates, found = self.estimates, dict[str, Interval]()
        for name, estimate in estimates.items():
            if name not in self._means:
                found[name] = too_few(estimate) or self.interval(name, estimate, confidence)
        for name, parts in self._means.items():
            if not parts:
                found[name] = UNDEFINED
                continue
            each = [(estimates[part].value, found[part]) for part in parts]
            matrix = covariance([estimates[part] for part in parts])
            found[name] = too_few(estimates[name]) or mover(each, matrix)
        return {name: found[name] for name in self.metrics if name in found}

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """What each metric, and each that one is a mean of, owes to each patient; nothing where it is undefined."""
        found = {}
        # Lightning tests in inference mode, whose tensors cannot take part in a derivative; their copies can.
        with torch.inference_mode(False), torch.enable_grad():
            given = {field.name: getattr(self, field.name) for field in fields(self)}
            copies: dict[str, Any] = {name: value.clone() for name, value in given.items() if isinstance(value, Tensor)}
            fresh, weights = replace(self, **copies), self._ones.requires_grad_()
            for name, value in fresh.statistic(weights).items():
                influence = torch.zeros(len(self), dtype=torch.float64)
                if value.isfinite():
                    (influence,) = torch.autograd.grad(value, weights, retain_graph=True)
                found[name] = Estimate.of(value.item(), influence, fresh.sides(name), fresh.clusters, self.needed(name))
        for name, parts in self._means.items():
            if parts:
                found[name] = Estimate.mean([found[part] for part in parts])
        return found

    @property
    def made_of(self) -> Mapping[str, list[str]]:
        """The metrics that are means of others, each with those that it is a mean of."""
        return self._means

    @cached_property
    def _values(self) -> dict[str, float]:
        return {name: value.item() for name, value in self.statistic(self._ones).items()}

    @cached_property
    def _means(self) -> dict[str, list[str]]:
        return self.means(self._values)

    @property
    def _ones(self) -> Tensor:
        return torch.ones(len(self), dtype=torch.float64)

    @cached_property
    def clusters(self) -> Tensor:
        """Int64 (N,), the patient of each case, from 0; each case its own where no patients are known."""
        return cluster_codes(self.patients, len(self))

    @property
    def several_each(self) -> bool:
        """Whether patients are known and some have more than one case."""
        return self.patients is not None and len(self.clusters.unique()) < len(self)
