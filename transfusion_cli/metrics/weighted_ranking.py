"""AUROC and average precision under many weightings of the same samples, from one sort."""

from __future__ import annotations

import torch
from torch import Tensor


class WeightedRanking:
    """Ranks samples once; then each weighting of their clusters costs two sparse products and a few running sums.

    The only thresholds that matter are the J distinct scores of positives. Every negative lies on one of them or in
    one of the J + 1 gaps between them, so the weights of 2J + 1 cells say all about the negatives.

    Args:
        scores: ``(n,)``.
        positive: bool ``(n,)``.
        clusters: int64 ``(n,)``, the cluster of each sample, from 0 to ``num_clusters - 1``.
        num_clusters: C.
    """

    def __init__(self, scores: Tensor, positive: Tensor, clusters: Tensor, num_clusters: int) -> None:
        thresholds, step = scores[positive].unique(return_inverse=True)
        negative = scores[~positive].contiguous()
        cell = torch.searchsorted(thresholds, negative) + torch.searchsorted(thresholds, negative, right=True)
        self._positives = _membership(step, clusters[positive], (len(thresholds), num_clusters))
        self._negatives = _membership(cell, clusters[~positive], (2 * len(thresholds) + 1, num_clusters))

    def __call__(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """AUROC and average precision, float64 ``(R,)`` each; NaN without a positive or without a negative.

        Args:
            weights: float32 ``(C, R)``, how often each cluster counts (exact for whole numbers).
        """
        positives = torch.sparse.mm(self._positives, weights).double()
        negatives = torch.sparse.mm(self._negatives, weights).double().cumsum(dim=0)
        below, up_to, all_negatives = negatives[:-1:2], negatives[1::2], negatives[-1]
        cumulative = positives.cumsum(dim=0)
        all_positives = positives.sum(dim=0)
        # A negative that ties with a positive is half below it.
        auroc = (positives * (below + up_to)).sum(dim=0) / (2 * all_positives * all_negatives)

        true_positives = all_positives - cumulative + positives
        # clamp: above the highest score that was drawn there is nothing, and nothing is to be added.
        precision = true_positives / (true_positives + all_negatives - below).clamp(min=1)
        average_precision = (positives * precision).sum(dim=0) / all_positives
        return auroc, torch.where(all_negatives > 0, average_precision, torch.nan)


def _membership(cell: Tensor, cluster: Tensor, shape: tuple[int, int]) -> Tensor:
    """Sparse counts ``(cells, clusters)`` of samples."""
    ones = torch.ones(len(cell), dtype=torch.float32)
    return torch.sparse_coo_tensor(torch.stack([cell, cluster]), ones, shape, check_invariants=True).coalesce()
