"""Linear maps that turn a representation into uncorrelated directions of equal size."""

import torch
from torch import Tensor

EPSILON = 1e-10
"""Relative variance below which a neuron or a direction counts as missing."""

ROUNDING = 1e-14
"""A neuron whose variance is below this share of its squared mean is constant but for the rounding of float32."""


def alive(scatter: Tensor, mean: Tensor, n: int) -> Tensor:
    """Bool ``(d,)``: the neurons that vary, by more than rounding and than ``EPSILON`` times the largest variance."""
    variance = scatter.diagonal() / n
    return (variance > EPSILON * variance.max()) & (variance > ROUNDING * mean.square())


def whitener(scatter: Tensor, mean: Tensor, n: int) -> Tensor:
    """Whitens all of a representation.

    Neurons are first brought to unit variance, so that a neuron in small units counts like any other. Then directions
    with an eigenvalue of the correlation matrix below ``EPSILON`` times the largest are left out: what duplicate and
    linearly dependent neurons leave behind is rounding. A Cholesky factor does where it proves that there are none.

    Args:
        scatter: ``(d, d)``, the sum of products of deviations from the mean.
        mean: ``(d,)``.
        n: data points.

    Returns:
        ``(r, d)``, W with ``W scatter Wᵀ = 1``; r is the number of directions left, 0 if no neuron varies.
    """
    chosen = alive(scatter, mean, n).nonzero().squeeze(1)
    scale = scatter.diagonal()[chosen].rsqrt()
    correlation = scatter[chosen][:, chosen] * scale * scale[:, None]
    factor, failed = torch.linalg.cholesky_ex(correlation)
    identity = torch.eye(len(chosen), dtype=scatter.dtype, device=scatter.device)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False) if not failed else None
    # 1 / |L⁻¹|² is at most the smallest eigenvalue, the Frobenius norm at least the largest.
    if inverse is None or not EPSILON * correlation.norm() * inverse.square().sum() < 1:
        values, vectors = torch.linalg.eigh(correlation)
        kept = values > EPSILON * values[-1]
        inverse = (vectors[:, kept] * values[kept].rsqrt()).T
    whole = scatter.new_zeros(len(inverse), len(scatter))
    whole[:, chosen] = inverse * scale
    return whole


def leading_whitener(scatter: Tensor, mean: Tensor, n: int, keep: float | int) -> Tensor:
    """Whitens the principal directions of a representation: the singular vectors of its centred activations.

    Args:
        scatter: ``(d, d)``, the sum of products of deviations from the mean.
        mean: ``(d,)``.
        n: data points.
        keep: a float: the share of the variance to keep, in the fewest directions. An int: how many directions.
            Those with less than ``EPSILON`` of the largest one's variance are never kept.

    Returns:
        ``(k, d)``, W with ``W scatter Wᵀ = 1``, largest direction first.
    """
    varies = alive(scatter, mean, n)
    values, vectors = torch.linalg.eigh(scatter * varies * varies[:, None])
    values, vectors = values.flip(0), vectors.flip(1)
    rank = int((values > max(EPSILON * float(values[0]), 0.0)).sum())
    if isinstance(keep, int):
        count = min(keep, rank)
    else:
        share = values[:rank].cumsum(0) / values[:rank].sum()
        count = min(int((share < keep).sum()) + 1, rank)
    return torch.mul(vectors[:, :count], values[:count].rsqrt()).T
