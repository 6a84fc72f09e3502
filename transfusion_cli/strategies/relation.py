"""How classes of the source and of the target go together (You et al. 2020, section 3.3)."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Array = NDArray[np.float64]
Classes = NDArray[np.int64]

STRENGTHS = tuple(float(f"{digit}e{power}") for power in range(4, -5, -1) for digit in (3, 1))[1:]
"""Inverse strengths of the classifier's decay that are tried, 1e4, 3e3, 1e3 and so on down to 1e-4."""

STEEPEST = 100.0
"""Largest scale of calibration; without a bound there is no best one where all is told apart."""


def calibrated_relation(train: tuple[Array, Classes], held_out: tuple[Array, Classes], classes: int) -> Array:
    """p(source class | target class), by a calibrated classifier of target classes and Bayes' rule.

    A logistic regression without intercept tells target classes from probabilities of source classes; of several
    decays the one that is right most often on held-out images is taken. Its logits are scaled so that their
    cross-entropy there is smallest. What it says of a pure source class is p(target | source), which is multiplied by
    the mean probability of that source class, and normalised for each target class.

    Args:
        train: probabilities of source classes (N, S) and target classes (N,).
        held_out: the same of other images.
        classes: number of target classes.

    Returns:
        (classes, S), rows with the sum 1.
    """
    fits = [_logistic(*train, classes, strength) for strength in STRENGTHS]
    right = [float(np.mean((held_out[0] @ weights.T).argmax(1) == held_out[1])) for weights in fits]
    weights = fits[int(np.argmax(right))]
    target_given_source = softmax(_scale(held_out[0] @ weights.T, held_out[1]) * weights.T, axis=1)
    joint = (target_given_source * np.concatenate([train[0], held_out[0]]).mean(0)[:, None]).T
    return np.asarray(joint / joint.sum(1, keepdims=True))


def _logistic(inputs: Array, target: Classes, classes: int, strength: float) -> Array:
    """Weights (classes, S) that minimise ``strength`` times the summed cross-entropy plus half their square."""
    truth, scale = np.eye(classes)[target], strength * len(target)

    def objective(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(classes, -1)
        logs = log_softmax(inputs @ weights.T, axis=1)
        slope = (np.exp(logs) - truth).T @ inputs / len(target) + weights / scale
        return float(-(logs * truth).sum() / len(target) + flat @ flat / (2 * scale)), slope.ravel()

    options = {"maxiter": 2000, "maxfun": 4000, "gtol": 1e-8, "ftol": 1e-15}
    start = np.zeros(classes * inputs.shape[1])
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x.reshape(classes, -1))


def _scale(logits: Array, target: Classes) -> float:
    """What to multiply logits by for the smallest cross-entropy."""
    rows = np.arange(len(target))

    def objective(scale: Array) -> tuple[float, Array]:
        logs = log_softmax(scale[0] * logits, axis=1)
        slope = (np.exp(logs) * logits).sum(1) - logits[rows, target]
        return float(-logs[rows, target].mean()), np.array([slope.mean()])

    options = {"gtol": 1e-12, "ftol": 1e-16}
    found = minimize(objective, np.ones(1), jac=True, bounds=[(0.0, STEEPEST)], method="L-BFGS-B", options=options)
    return float(found.x[0])
