"""What was predicted for the images of a split, where they belong to classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.by_exam import mean_over_exams
from transfusion_cli.metrics.decision_metrics import DecisionCounts, decision_metrics, quadratic_kappa
from transfusion_cli.metrics.estimate import Estimate, Sides
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.intervals import Interval, newcombe, wilson
from transfusion_cli.metrics.one_vs_rest import OneVsRest, one_vs_rest
from transfusion_cli.metrics.probabilities import log_odds, probabilities
from transfusion_cli.metrics.ranking import ranking
from transfusion_cli.metrics.recognition_rate import recognition_rate
from transfusion_cli.targets import Target

ORDER = (
    *("auroc", "average_precision", "accuracy", "balanced_accuracy", "f1"),
    *("sensitivity", "specificity", "kappa", "recognition_rate"),
)
"""Metrics in the order of tables."""

SHARES = ("accuracy", "sensitivity", "specificity")
"""Metrics that are shares of images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationEvaluation(Evaluation):
    """Probabilities and targets of N images, and these metrics; what the data leave undefined is NaN, never 0.

    * ``auroc``: area under the ROC curve, ties counting one half. Binary: of the positive class. Otherwise of each
      class or label against the rest (``auroc/<class>``), and their mean.
    * ``average_precision``: the sum over thresholds of precision times the step in recall, without interpolation,
      by class and averaged alike. Both need a positive and a negative; means are over the classes that have them.
    * ``accuracy``: multiclass and ordinal: the share of images whose class is chosen. Binary and multilabel: the share
      of right answers, by label, then the mean over labels.
    * ``balanced_accuracy``: multiclass and ordinal: the mean sensitivity over the classes that occur. Binary and
      multilabel: the mean of sensitivity and specificity, by label, then the mean over labels.
    * ``f1``: by class with at least one positive, then the mean over these classes.
    * ``sensitivity``, ``specificity``: of the positive class, binary only.
    * ``kappa``: Cohen's; ordinal: with quadratic weights; binary: plain.
    * ``recognition_rate``: where some patients have several images and each image one decision.

    Images with unknown targets are left out label by label.

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

    def statistic(self, weights: Tensor) -> dict[str, Tensor]:
        """The metrics of each class, those of the decisions as a whole, and the recognition rate."""
        questions, found, counts = self.questions, dict[str, Tensor](), list[DecisionCounts]()
        for name, *columns in zip(questions.names, *(column.T for column in questions[1:]), strict=True):
            scores, truth, known, chosen = columns
            areas = ranking(scores[known], truth[known], weights[known])
            found |= zip((f"auroc/{name}", f"average_precision/{name}"), areas, strict=True)
            counts.append(DecisionCounts.of(truth, known, chosen, weights))
            found |= {f"{metric}/{name}": value for metric, value in decision_metrics(counts[-1]).items()}
        if self.target in ("multiclass", "ordinal"):
            found["accuracy"] = torch.stack([one.hits for one in counts]).sum() / counts[0].known
        if self.target == "ordinal":
            ranks, decided = (answers.long().argmax(dim=1) for answers in (questions.truth, questions.chosen))
            squared_error = (ranks - decided).square() * questions.known[:, 0]
            found["kappa"] = quadratic_kappa(counts, weights @ squared_error.double())
        if self.target != "multilabel" and self.several_each:
            found["recognition_rate"] = recognition_rate(questions, self.clusters, weights)
        return found

    def means(self, values: Mapping[str, float]) -> dict[str, list[str]]:
        """Means over the classes or labels where a metric is defined."""

        def defined(*metrics: str) -> list[str]:
            names = [n for n in self.questions.names if all(math.isfinite(values[f"{m}/{n}"]) for m in metrics)]
            return [f"{metric}/{name}" for name in names for metric in metrics]

        found = {metric: defined(metric) for metric in ("auroc", "average_precision", "f1")}
        if self.target in ("multiclass", "ordinal"):
            return found | {"balanced_accuracy": defined("sensitivity")}
        found |= {"accuracy": defined("accuracy"), "balanced_accuracy": defined("sensitivity", "specificity")}
        if self.target == "binary":
            found |= {metric: defined(metric) for metric in ("sensitivity", "specificity", "kappa")}
        return found

    def shown(self, names: Sequence[str]) -> list[str]:
        """The metrics of all classes together; but for binary targets, AUROC and average precision of each."""
        each = () if self.target == "binary" else ("auroc", "average_precision")
        shown = [metric for metric in ORDER if metric in names]
        return shown + [f"{metric}/{name}" for metric in each for name in self.questions.names]

    def sides(self, metric: str) -> Sides:
        """Positives and negatives of a class; all images where decisions are right or wrong."""
        kind, _, name = metric.partition("/")
        at = self.questions.names.index(name) if name else 0
        truth, known = self.questions.truth[:, at], self.questions.known[:, at]
        if not name or kind == "accuracy":
            return {"patients": known}
        sides = {"positives": truth, "negatives": known & ~truth}
        one = {"sensitivity": "positives", "specificity": "negatives"}.get(kind)
        return {one: sides[one]} if one else sides

    def interval(self, metric: str, estimate: Estimate, confidence: float) -> Interval:
        """Newcombe's of an AUROC; Wilson's of any other metric, which for kappa begins at -1."""
        if metric.startswith("auroc/"):
            return newcombe(estimate, confidence)
        kind = metric.partition("/")[0]
        return wilson(estimate, confidence, lowest=-1 if kind == "kappa" else 0, share=kind in SHARES)

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

    @classmethod
    def of_table(cls, columns: Mapping[str, np.ndarray], metrics: Collection[str]) -> Self | None:
        """Ordinal and multiclass have the same columns: those with kappa are ordinal."""
        classes = [name.removeprefix("p_") for name in columns if name.startswith("p_")]
        labels = [name for name in columns if name.startswith("label_")]
        if not classes or not (labels or "label" in columns):
            return None
        predicted = torch.tensor(np.stack([columns[f"p_{name}"].astype(float) for name in classes], axis=1))
        if not labels:
            number = {name: at for at, name in enumerate(classes)} | {"": -1}
            target: Target = "ordinal" if "kappa" in metrics else "multiclass"
            return cls.of(target, classes, predicted, torch.tensor([number[name] for name in columns["label"]]))
        known = [np.where(columns[name] == "", "nan", columns[name]).astype(float) for name in labels]
        target = "multilabel" if len(labels) > 1 else "binary"
        classes = classes if target == "multilabel" else [f"not {classes[0]}", classes[0]]
        return cls.of(target, classes, predicted, torch.tensor(np.stack(known, axis=1)))

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

    def of_labels(self, names: Sequence[str]) -> Self:
        """The evaluation of some of several labels, without the loss; of classes, of which each image has one, all."""
        if self.target != "multilabel" or list(names) == list(self.class_names):
            return self
        at = [list(self.class_names).index(name) for name in names]
        return replace(
            self,
            loss=None,
            class_names=list(names),
            probabilities=self.probabilities[:, at],
            targets=self.targets[:, at],
            scores=None if self.scores is None else self.scores[:, at],
        )

    def by_exam(self, exams: np.ndarray) -> Self:
        """The mean probability over the images of each examination."""
        means, targets, first = mean_over_exams(exams, self.probabilities, self.targets)
        return replace(self.take(first), probabilities=means, targets=targets, scores=None)
