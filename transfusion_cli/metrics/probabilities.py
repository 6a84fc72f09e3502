"""Logits to probabilities, and probabilities to decisions, for every kind of target."""

from __future__ import annotations

import torch
from torch import Tensor

from transfusion_cli.targets import Target


def probabilities(target: Target, logits: Tensor) -> Tensor:
    """Turn logits into float64 probabilities on the CPU.

    float64, because the sigmoid of a confident float32 logit is exactly 1: distinct logits would become ties.

    Args:
        target: The kind of target.
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
