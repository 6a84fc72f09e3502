"""AUROC and average precision of weighted cases."""

from __future__ import annotations

import torch
from torch import Tensor


def ranking(scores: Tensor, positive: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """AUROC and average precision, float64 scalars; NaN without a positive or without a negative.

    The only thresholds that matter are the J distinct scores of positives. Every negative lies on one of them or in
    one of the J + 1 gaps between them, so the weights of 2J + 1 cells say all about the negatives.

    Args:
        scores: (n,), the higher the more likely positive.
        positive: bool (n,).
        weights: float64 (n,), how much each case counts; the results can be differentiated by them.
    """
    thresholds, step = scores[positive].unique(return_inverse=True)
    negative = scores[~positive].contiguous()
    cell = torch.searchsorted(thresholds, negative) + torch.searchsorted(thresholds, negative, right=True)
    positives = weights.new_zeros(len(thresholds)).index_add(0, step, weights[positive])
    negatives = weights.new_zeros(2 * len(thresholds) + 1).index_add(0, cell, weights[~positive]).cumsum(dim=0)
    below, up_to, all_negatives = negatives[:-1:2], negatives[1::2], negatives[-1]
    all_positives = positives.sum()
    # A negative that ties with a positive is half below it.
    auroc = (positives * (below + up_to)).sum() / (2 * all_positives * all_negatives)

    true_positives = all_positives - positives.cumsum(dim=0) + positives
    # A threshold whose positives all weigh nothing, with nothing above it, adds nothing.
    precision = true_positives / (true_positives + all_negatives - below).clamp(min=torch.finfo(torch.float64).tiny)
    average_precision = (positives * precision).sum() / all_positives
    return auroc, torch.where(all_negatives > 0, average_precision, torch.nan)
