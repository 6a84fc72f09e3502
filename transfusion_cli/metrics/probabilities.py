"""Logits to probabilities and to log-odds, and probabilities to decisions, for every kind of target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.targets import Target


def probabilities(target: Target, logits: Tensor) -> Tensor:
    """Turn logits into float64 probabilities on the CPU.

    float64, because the sigmoid of a confident float32 logit is exactly 1. Beyond a logit of 37 it is so in float64
    too: decide by probabilities, rank by :func:`log_odds`.

    Args:
        target: the kind of target.
        logits: ``(N, L)`` for binary and multilabel, ``(N, K)`` for multiclass, ``(N, K - 1)`` for ordinal.

    Returns:
        ``(N, L)`` independent probabilities, or ``(N, K)`` rows that sum to 1.
    """
    logits = logits.detach().cpu().double()
    match target:
        case "multiclass":
            return logits.softmax(dim=1)
        case "ordinal":
            # CORN (Shi, Cao & Raschka 2021, eq. 6): P(y > k) is the product of the conditionals up to k.
            exceeds = logits.sigmoid().cumprod(dim=1)
            certain = torch.ones(len(logits), 1, dtype=logits.dtype)
            return -torch.cat([certain, exceeds, 0 * certain], dim=1).diff(dim=1)
        case _:
            return logits.sigmoid()


def log_odds(target: Target, logits: Tensor) -> Tensor:
    """What to rank samples by: for each class or label, the float64 logarithm of p / (1 - p), on the CPU.

    It orders samples as the probability does, but never runs into an end: samples with distinct logits stay apart
    where their probabilities are both 1 to the last bit, and those with equal logits tie.

    Args:
        target: the kind of target.
        logits: as for :func:`probabilities`.

    Returns:
        ``(N, L)`` or ``(N, K)``, like the probabilities.
    """
    logits = logits.detach().cpu().double()
    match target:
        case "multiclass":
            return _odds_against_the_rest(logits)
        case "ordinal":
            certain = torch.zeros(len(logits), 1, dtype=logits.dtype)
            reached = torch.cat([certain, F.logsigmoid(logits).cumsum(dim=1)], dim=1)
            return _odds_against_the_rest(reached + torch.cat([F.logsigmoid(-logits), certain], dim=1))
        case _:
            return logits


def _odds_against_the_rest(weights: Tensor) -> Tensor:
    """Log-odds of each class, from logarithms ``(N, K)`` of what its probability is proportional to."""
    log_p = weights.log_softmax(dim=1)
    log_rest = torch.log1p(-log_p.exp())  # exact enough up to a probability of one half, which one class may exceed
    top = log_p.argmax(dim=1, keepdim=True)
    others = log_p.scatter(1, top, -torch.inf).logsumexp(dim=1, keepdim=True)
    return log_p - log_rest.scatter(1, top, others)


def decisions(target: Target, probabilities: Tensor) -> Tensor:
    """Decide from probabilities.

    Returns:
        Binary and multilabel: bool ``(N, L)``, probability above 0.5. Multiclass: int64 ``(N,)``, the most
        probable class. Ordinal: int64 ``(N,)``, the median class, that is the number of k with P(y > k) > 0.5.
    """
    match target:
        case "multiclass":
            return probabilities.argmax(dim=1)
        case "ordinal":
            return (1 - probabilities.cumsum(dim=1)[:, :-1] > 0.5).sum(dim=1)
        case _:
            return probabilities > 0.5
