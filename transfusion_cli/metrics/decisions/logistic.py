"""Logistic regression with an offset, soft targets and weights, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def logistic_fit(design: Tensor, targets: Tensor, weights: Tensor, offset: Tensor | None = None) -> Tensor:
    """The coefficients of greatest likelihood.

    scikit-learn's takes neither an offset nor targets between 0 and 1.

    Args:
        design: (N, P).
        targets: (N,), from 0 to 1.
        weights: (N,).
        offset: (N,), added to the log-odds with a coefficient of 1.

    Returns:
        Float64 (P,); only where no split of the cases by the design separates them is there a maximum.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x, y, w = (part.detach().double().numpy() for part in (design, targets, weights))
    start = np.zeros(len(y)) if offset is None else offset.detach().double().numpy()
    scale = np.abs(x).max(axis=0).clip(min=1e-12)  # for steps of like size
    x, w = x / scale, w / w.sum()

    def loss(theta: Any) -> tuple[float, Any]:
        z = x @ theta + start
        return float(w @ (np.logaddexp(0, z) - y * z)), x.T @ (w * (expit(z) - y))

    def curvature(theta: Any) -> Any:
        p = expit(x @ theta + start)
        return (x * (w * p * (1 - p))[:, None]).T @ x

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
    return torch.from_numpy(found.x / scale)


def logistic_estimate(design: Tensor, targets: Tensor, weights: Tensor, offset: Tensor | None = None) -> Tensor:
    """The same as a function that can be differentiated by the weights.

    One Newton step from the maximum: it stays there, and its derivative by the weight of a case is the influence of
    that case, the inverse of the information times the score of the case.

    Args:
        design: (N, P).
        targets: (N,), from 0 to 1.
        weights: float64 (N,).
        offset: (N,).
    """
    theta = logistic_fit(design, targets, weights, offset)
    design = design.double()
    p = (design @ theta + (0 if offset is None else offset)).sigmoid()
    score = design.T @ (weights * (targets.double() - p))
    information = (design * (weights.detach() * p * (1 - p))[:, None]).T @ design
    step: Tensor = torch.linalg.solve(information, score)
    return theta + step
