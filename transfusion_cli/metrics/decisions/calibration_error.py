"""The expected calibration error, without the share of it that chance makes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BINS = 15
LEAST = 10
"""Cases in a bin, on average, that there are no more bins than."""


def bins_of(probabilities: Tensor) -> Tensor:
    """Bin of each case, int64 (N,): at most 15 with as many cases each, fewer of few cases; equal ones stay together.

    Args:
        probabilities: (N,).
    """
    wanted = min(BINS, max(1, len(probabilities) // LEAST))
    ranks = torch.arange(1, wanted, dtype=torch.float64) / wanted
    edges = probabilities.double().quantile(ranks).unique() if len(probabilities) and wanted > 1 else ranks[:0]
    return torch.searchsorted(edges, probabilities.double().contiguous(), right=True)


def calibration_error(probabilities: Tensor, truth: Tensor, weights: Tensor, clusters: Tensor) -> Tensor:
    """The debiased expected calibration error of Kumar, Liang & Ma (2019), by bins of equally many cases.

    In every bin the share of positives lies off the mean probability by chance too, so that the plain error is above 0
    for perfect probabilities. Its expected excess is taken off: that which the error has, if shares are drawn anew from
    normal distributions around the observed ones. They draw; the mean of an absolute normal number has a closed
    form (Leone et al. 1961), which stands here. The variance of a share is that over patients.

    Args:
        probabilities: float64 (N,).
        truth: float64 (N,), 0 or 1.
        weights: float64 (N,), by which it can be differentiated; bins and variances stay as they are.
        clusters: int64 (N,), the patient of each case.
    """
    if not len(truth):
        return torch.full((), torch.nan, dtype=torch.float64)
    bins = bins_of(probabilities)
    count = int(bins.max()) + 1
    sums = weights.new_zeros(count).index_add(0, bins, weights)
    gap = weights.new_zeros(count).index_add(0, bins, weights * (probabilities - truth))
    gap = gap / sums.clamp(min=1e-300)
    deviation = _deviation(truth, weights.detach(), clusters, bins, sums.detach())
    ratio = gap / deviation
    expected = deviation * math.sqrt(2 / math.pi) * (-ratio.square() / 2).exp()
    expected = expected + gap * torch.erf(ratio / math.sqrt(2))
    error = sums @ (2 * gap.abs() - expected) / sums.sum()
    return error + (error.clamp(min=0) - error).detach()  # where it is 0 it still changes with patients


def chance(probabilities: Tensor, truth: Tensor, clusters: Tensor) -> float:
    """The p-value of perfect probabilities: a chi-squared test over the bins of ``calibration_error``.

    The statistic is that of Hosmer & Lemeshow (1980) with a degree of freedom for each bin, as nothing was fitted to
    these cases. The variance of a bin's surprises is what the probabilities say, or what patients show if that is more,
    and that of one case at least, as counts of rare cases are far from normal.

    Args:
        probabilities: float64 (N,).
        truth: float64 (N,), 0 or 1.
        clusters: int64 (N,), the patient of each case.
    """
    from scipy.stats import chi2

    bins = bins_of(probabilities)
    zeros = torch.zeros(int(bins.max()) + 1, dtype=torch.float64)
    surprise = truth - probabilities
    said = zeros.index_add(0, bins, probabilities * (1 - probabilities))
    variance = torch.maximum(said, _squares(surprise, clusters, bins, len(zeros))).clamp(min=1)
    statistic = zeros.index_add(0, bins, surprise).square() / variance
    return float(chi2.sf(statistic.sum().item(), len(bins.unique())))


def _squares(owed: Tensor, clusters: Tensor, bins: Tensor, count: int) -> Tensor:
    """The sum over patients of their squared sums in each bin."""
    pairs, place = torch.stack([bins, clusters]).unique(dim=1, return_inverse=True)
    sums = torch.zeros(pairs.shape[1], dtype=torch.float64).index_add(0, place, owed)
    return torch.zeros(count, dtype=torch.float64).index_add(0, pairs[0], sums.square())


def _deviation(truth: Tensor, weights: Tensor, clusters: Tensor, bins: Tensor, sums: Tensor) -> Tensor:
    """Standard deviation of the share of positives in each bin, over patients."""
    share = torch.zeros_like(sums).index_add(0, bins, weights * truth) / sums.clamp(min=1e-300)
    squares = _squares(weights * (truth - share[bins]), clusters, bins, len(sums))
    return (squares / sums.clamp(min=1e-300).square()).sqrt().clamp(min=1e-12)
