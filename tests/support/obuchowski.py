"""Areas and their covariances straight from the formulas of Obuchowski (1997), in plain loops: an oracle."""

import numpy as np
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.estimate import Estimate


def by_definition(models, truth, patients):
    """AUROC of each of K models and their covariances (K, K).

    Clustered by patient, section 2 of the paper; with a patient for each case it is DeLong et al. (1988).

    Args:
        models: scores (K, N).
        truth: bool (N,).
        patients: (N,).
    """
    truth, patients = np.asarray(truth, dtype=bool), np.asarray(patients)
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    m, n = len(positives), len(negatives)
    areas, x_sums, y_sums = [], [], []
    clusters = sorted(set(patients))
    for scores in models:
        kernel = {(i, j): (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2 for i in positives for j in negatives}
        area = sum(kernel.values()) / (m * n)
        v10 = {i: sum(kernel[i, j] for j in negatives) / n for i in positives}
        v01 = {j: sum(kernel[i, j] for i in positives) / m for j in negatives}
        areas.append(area)
        x_sums.append([sum(v10[i] - area for i in positives if patients[i] == c) for c in clusters])
        y_sums.append([sum(v01[j] - area for j in negatives if patients[j] == c) for c in clusters])
    i10, i01, i = (len(set(patients[rows])) for rows in (positives, negatives, slice(None)))
    found = np.zeros((len(models), len(models)))
    for r in range(len(models)):
        for s in range(len(models)):
            s10 = i10 / ((i10 - 1) * m) * sum(a * b for a, b in zip(x_sums[r], x_sums[s], strict=True))
            s01 = i01 / ((i01 - 1) * n) * sum(a * b for a, b in zip(y_sums[r], y_sums[s], strict=True))
            s11 = i / (i - 1) * sum(a * b for a, b in zip(x_sums[r], y_sums[s], strict=True))
            s11_swapped = i / (i - 1) * sum(a * b for a, b in zip(y_sums[r], x_sums[s], strict=True))
            found[r, s] = s10 / m + s01 / n + (s11 + s11_swapped) / (m * n)
    return np.array(areas), found


def mixed_patients(models=2, patients=40, seed=0):
    """Scores (K, N) in [0, 1] that tie, truth (N,) and patients (N,): most have images of both kinds, some of one."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    truth = rng.random(len(owner)) < rng.choice([0.0, 0.3, 0.5, 1.0], patients)[owner]
    shared = 0.3 + 0.2 * truth + rng.normal(0, 0.15, patients)[owner]
    scores = [np.clip(shared + rng.normal(0, 0.15, len(owner)), 0, 1).round(2) for _ in range(models)]
    return np.array(scores), truth, np.array([f"patient {code}" for code in owner])


def areas(models, truth, patients=None) -> list[Estimate]:
    """What the package says of the AUROC of each model; arguments as above."""
    targets = torch.tensor(truth)[:, None].float()
    each = (torch.tensor(scores)[:, None] for scores in models)
    of = ClassificationEvaluation.of
    return [of("binary", ["n", "p"], scores, targets, patients).estimates["auroc/p"] for scores in each]
