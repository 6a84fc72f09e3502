"""Fitting of calibrations to logits and labels of a validation split."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.logistic import logistic_fit
from transfusion_cli.metrics.estimate import FEWEST

Choice = Literal["auto", "temperature", "platt", "isotonic"]
"""What may be asked for: ``auto`` is temperature for several classes, and Platt's for labels."""

CHOICES: tuple[Choice, ...] = ("auto", "temperature", "platt", "isotonic")

FOR_ISOTONIC = 200
"""Positives, and negatives, that an isotonic calibration needs: with fewer it learns their noise."""

HOTTEST = 50.0
"""The highest temperature that is looked for, and one over the lowest."""


def temperature(logits: Tensor, targets: Tensor) -> Calibration:
    """Temperature scaling (Guo et al. 2017): the temperature under which the labels are the most likely.

    Args:
        logits: (N, K).
        targets: int64 (N,), all known.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.detach().cpu().double()

    def loss(log_scale: float) -> float:
        return F.cross_entropy(math.exp(log_scale) * logits, targets).item()

    if torch.equal(logits.argmax(dim=1), targets):
        return Calibration(why="nothing is mistaken on validation")  # the colder the likelier, without an end
    end = math.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-end, end), method="bounded", options={"xatol": 1e-8})
    if abs(found.x) > end - 1e-3:
        return Calibration(why="its scores tell nothing of the classes")
    return Calibration("temperature", scale=math.exp(found.x))


def platt(logits: Tensor, truth: Tensor) -> Calibration:
    """Platt scaling (1999): a logistic regression on the logit.

    The targets are Platt's, (positives + 1) / (positives + 2) and 1 / (negatives + 2) in place of 1 and 0, so that
    there is a best fit even where the logit separates the cases.

    Args:
        logits: (N,).
        truth: bool (N,).
    """
    high, low = platt_targets(truth)
    logits = logits.detach().cpu().double()
    targets = torch.where(truth, high, low)
    design = torch.stack([logits, torch.ones_like(logits)], dim=1)
    scale, shift = logistic_fit(design, targets, torch.ones_like(logits)).tolist()
    if not scale > 0:
        return Calibration(why="its score does not rise with the label")
    return Calibration("platt", scale=scale, shift=shift)


def isotonic(logits: Tensor, truth: Tensor) -> Calibration:
    """Isotonic regression (Zadrozny & Elkan 2002) between Platt's targets, so that no probability is 0 or 1.

    Args:
        logits: (N,).
        truth: bool (N,).
    """
    from sklearn.isotonic import IsotonicRegression

    high, low = platt_targets(truth)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip")
    fitted.fit(logits.detach().cpu().double().numpy(), truth.double().numpy())
    knots = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
    return Calibration("isotonic", knots=tuple(knots))


def platt_targets(truth: Tensor) -> tuple[float, float]:
    """What Platt (1999) has positives and negatives be, for their numbers: the mean of a uniform prior's posterior."""
    positives = int(truth.sum())
    return (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2)


def fit_label(logits: Tensor, truth: Tensor, clusters: Tensor, method: Choice) -> Calibration:
    """The calibration of one label, or why it is left as it is.

    Args:
        logits: (N,), of cases whose label is known.
        truth: bool (N,).
        clusters: int64 (N,), the patient of each case.
        method: what to fit.
    """
    if few := few_patients(truth, clusters):
        return Calibration(why=few)
    fewest = min(int(truth.sum()), int((~truth).sum()))
    if method == "isotonic":
        if fewest < FOR_ISOTONIC:
            return Calibration(why=f"isotonic needs {FOR_ISOTONIC} positives and negatives, and has {fewest}")
        return isotonic(logits, truth)
    if method == "temperature":
        return temperature(torch.stack([torch.zeros_like(logits), logits], dim=1), truth.long())
    return platt(logits, truth)


def fit_classes(logits: Tensor, targets: Tensor, clusters: Tensor) -> Calibration:
    """The one temperature of several classes, or why they are left as they are.

    Args:
        logits: (N, K).
        targets: int64 (N,), all known.
        clusters: int64 (N,), the patient of each case.
    """
    if not len(targets):
        return Calibration(why="no known labels")
    if few := few_patients(targets != targets.mode().values, clusters):
        return Calibration(why=few.replace("positives", "patients of other classes than the commonest"))
    return temperature(logits, targets)


def few_patients(truth: Tensor, clusters: Tensor) -> str:
    """Which side of a label has too few patients to fit anything to; empty where neither has."""
    for side, mask in {"positives": truth, "negatives": ~truth}.items():
        count = len(clusters[mask].unique())
        if count < FEWEST:
            return f"too few {side} ({count})"
    return ""
