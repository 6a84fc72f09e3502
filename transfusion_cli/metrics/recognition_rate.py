"""Patient recognition rate: how much of a patient's images is recognised, with every patient counting the same."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.bootstrap import Interval, cluster_codes
from transfusion_cli.metrics.one_vs_rest import one_vs_rest
from transfusion_cli.targets import Target


def patient_scores(correct: Tensor | np.ndarray, patients: Sequence[Hashable]) -> Tensor:
    """The share of right answers among the images of each patient.

    Args:
        correct: Whether the decision on each image is right, bool (N,).
        patients: Patient of each image (N,).

    Returns:
        Float64 (P,), in order of the patients' first appearance.

    Raises:
        ValueError: Numbers of images and patients differ.
    """
    right = torch.as_tensor(correct).double()
    codes = cluster_codes(patients, len(right))
    count = int(codes.max()) + 1 if len(codes) else 0
    return torch.zeros(count, dtype=torch.float64).index_add_(0, codes, right) / torch.bincount(codes, minlength=count)


def recognition_rate(correct: Tensor | np.ndarray, patients: Sequence[Hashable]) -> float:
    """Mean of the patient scores (Spanhol et al. 2016, doi:10.1109/TBME.2015.2496264); NaN without any image.

    Accuracy lets a patient with many images count more; here each counts once. For an interval, draw patients and
    take the mean of their scores.

    Args:
        correct: Whether the decision on each image is right, bool (N,).
        patients: Patient of each image (N,).
    """
    return float(patient_scores(correct, patients).mean())


def recognition_with_interval(
    target: Target,
    class_names: Sequence[str],
    probabilities: Tensor,
    targets: Tensor,
    patients: Sequence[Hashable],
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, Interval]:
    """The recognition rate of one decision per image, with its 95 % percentile interval by bootstrap over patients.

    Images with unknown targets are left out. For targets of one question per image: not for multilabel.

    Args:
        target: ``binary``, ``multiclass`` or ``ordinal``.
        class_names: K class names.
        probabilities: ``(N, 1)`` or ``(N, K)``.
        targets: float ``(N, 1)`` or int64 ``(N,)``.
        patients: Patient of each image (N,).
        resamples: Number of resamples.
        seed: Equal seeds give equal intervals.
    """
    questions = one_vs_rest(target, class_names, probabilities, targets)
    known = questions.known[:, 0].numpy()
    correct = (questions.chosen == questions.truth).all(dim=1)[torch.as_tensor(known)]
    scores = patient_scores(correct, np.asarray(patients)[known]).numpy()
    if len(scores) < 2:
        return float(scores.mean()) if len(scores) else math.nan, Interval(math.nan, math.nan, resamples)
    means = [np.random.default_rng([seed, i]).choice(scores, len(scores)).mean() for i in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(scores.mean()), Interval(float(low), float(high), 0)
