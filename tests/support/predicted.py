"""Random predictions of every kind, with ties, unknown targets and patients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.targets import Target


class Predicted(NamedTuple):
    """The first four arguments of the metrics, then patients."""

    target: Target
    class_names: list[str]
    probabilities: Tensor
    targets: Tensor
    patients: list[str]

    @property
    def arguments(self) -> tuple[Target, list[str], Tensor, Tensor]:
        return self[:4]


def predicted(target: Target, samples: int = 200, classes: int = 4, seed: int = 0, unknown: float = 0.1) -> Predicted:
    """Draw targets, and probabilities that follow them, rounded so that they tie."""
    rng = np.random.default_rng(seed)
    if target in ("binary", "multilabel"):
        width = 1 if target == "binary" else classes
        truth = (rng.random((samples, width)) < 0.3).astype(np.float32)
        scores = np.clip(0.25 + 0.3 * truth + rng.normal(0, 0.25, truth.shape), 0, 1).round(2)
        truth[rng.random(truth.shape) < unknown] = np.nan
        classes = 2 if target == "binary" else classes
    else:
        truth = rng.integers(classes, size=samples)
        scores = 1 + 2 * np.eye(classes)[truth] + rng.integers(0, 4, size=(samples, classes))
        scores = scores / scores.sum(axis=1, keepdims=True)
        truth[rng.random(samples) < unknown] = -1
    patients = [f"patient {code}" for code in rng.integers(samples // 3 + 1, size=samples)]
    names = [f"class {k}" for k in range(classes)]
    return Predicted(target, names, torch.tensor(scores), torch.tensor(truth), patients)


def metrics_of(*arguments, scores: Tensor | None = None) -> dict[str, float]:
    """Metrics of the first four arguments, and maybe patients."""
    return ClassificationEvaluation.of(*arguments, scores=scores).metrics


def intervals_of(*arguments, scores: Tensor | None = None, **kwargs):
    """Their intervals."""
    return ClassificationEvaluation.of(*arguments, scores=scores).intervals(**kwargs)


def weighted(evaluation: ClassificationEvaluation, weights: Tensor) -> dict[str, float]:
    """The metrics of each class under weights of cases."""
    return {name: value.item() for name, value in evaluation.statistic(weights.double()).items()}
