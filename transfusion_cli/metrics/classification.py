"""What was predicted for the images of a split, where they belong to classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.by_exam import mean_over_exams
from transfusion_cli.metrics.evaluation import Evaluation, Statistic
from transfusion_cli.metrics.one_vs_rest import OneVsRest, one_vs_rest
from transfusion_cli.metrics.probabilities import log_odds, probabilities
from transfusion_cli.metrics.recognition_rate import RecognitionRate
from transfusion_cli.metrics.weighted_metrics import WeightedMetrics
from transfusion_cli.targets import Target


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationEvaluation(Evaluation):
    """Probabilities and targets of N images. Its metrics are those of ``WeightedMetrics``.

    Where some patients have several images and each image one decision, ``recognition_rate`` joins them.

    Args:
        target: the kind of target.
        class_names: K class names, or L label names.
        probabilities: (N, L) or (N, K), on the CPU.
        targets: float (N, L) or int64 (N,), on the CPU.
        scores: what AUROC and average precision rank by, of the shape of the probabilities; None for these themselves.
    """

    target: Target
    class_names: Sequence[str]
    probabilities: Tensor
    targets: Tensor
    scores: Tensor | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        class_names: Sequence[str],
        probabilities: Tensor,
        targets: Tensor,
        patients: Any = None,
        scores: Tensor | None = None,
    ) -> Self:
        """The evaluation of images that are known by their position alone; arguments as for the class."""
        return cls(
            index=torch.arange(len(targets)),
            patients=patients,
            target=target,
            class_names=class_names,
            probabilities=probabilities,
            targets=targets,
            scores=scores,
        )

    @classmethod
    def of_logits(cls, target: Target, class_names: Sequence[str], logits: Tensor, targets: Tensor) -> Self:
        """The same for logits, which rank samples whose probabilities are 1 to the last bit."""
        return cls.of(
            target, class_names, probabilities(target, logits), targets.cpu(), scores=log_odds(target, logits)
        )

    @cached_property
    def questions(self) -> OneVsRest:
        """One yes-or-no question for each class."""
        return one_vs_rest(self.target, self.class_names, self.probabilities, self.targets, self.scores)

    def statistic(self, clusters: Tensor) -> Statistic:
        """See ``WeightedMetrics`` and ``RecognitionRate``."""
        metrics = WeightedMetrics(self.target, self.questions, clusters)
        if self.target == "multilabel" or not self.several_each:
            return metrics
        rate = RecognitionRate(self.questions, clusters)
        return lambda weights: {**metrics(weights), "recognition_rate": rate(weights)}

    def support(self, metric: str) -> dict[str, int]:
        """Images with a known label, and positives among them if the metric is of one class.

        For a mean over labels, images with any known.
        """
        names, known = self.questions.names, self.questions.known
        name = names[0] if self.target == "binary" else metric.partition("/")[2]
        if not name:
            return {"samples": int(known.any(dim=1).sum())}
        at = names.index(name)
        return {"samples": int(known[:, at].sum()), "positives": int(self.questions.truth[:, at].sum())}

    @property
    def counts(self) -> dict[str, int]:
        """Positives of each class or label (binary: the positive class)."""
        positives = self.questions.truth.sum(dim=0).tolist()
        return {f"positives/{name}": count for name, count in zip(self.questions.names, positives, strict=True)}

    def columns(self) -> dict[str, np.ndarray]:
        """The probability of each class or label: ``p_<class>`` (binary: the positive class alone)."""
        columns = self.probabilities.numpy().T
        return {f"p_{name}": column for name, column in zip(self.questions.names, columns, strict=True)}

    def truth(self) -> dict[str, np.ndarray]:
        """Binary and multilabel: ``label_<class>``, empty where unknown; else ``label``, the name of the class."""
        targets = self.targets.numpy()
        if targets.ndim == 2:
            return {f"label_{name}": column for name, column in zip(self.questions.names, targets.T, strict=True)}
        return {"label": np.where(targets >= 0, np.array(self.class_names, dtype=object)[targets], "")}

    def take(self, rows: Any) -> Self:
        """Some images alone."""
        return replace(
            self,
            index=self.index[rows],
            patients=None if self.patients is None else self.patients[rows],
            loss=None,
            probabilities=self.probabilities[rows],
            targets=self.targets[rows],
            scores=None if self.scores is None else self.scores[rows],
        )

    def by_exam(self, exams: np.ndarray) -> Self:
        """The mean probability over the images of each examination."""
        means, targets, first = mean_over_exams(exams, self.probabilities, self.targets)
        return replace(self.take(first), probabilities=means, targets=targets, scores=None)
