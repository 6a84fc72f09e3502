"""What similarity measures give for representations that have nothing to do with each other.

The canonical correlations of independent data are far from 0: their squares average d / (n - 1), with d the larger
number of directions. All figures here suppose independent data points. Positions in one image are not independent,
nor are images of one patient, so chance can be higher than said here; accumulating the moments of ``x`` and of ``y``
with its images permuted measures it on the data at hand.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

SIMULATED = 32
"""Up to so many directions the coefficients are simulated; beyond, their limiting law is within 0.002 of the mean."""


@lru_cache(maxsize=1024)
def chance_coefficients(d1: int, d2: int, n: int) -> Tensor:
    """Expected canonical correlation coefficients of independent Gaussian data.

    They depend on nothing but the three numbers, whatever the two covariances. One side alone needs to be Gaussian.

    Args:
        d1: directions of the first representation.
        d2: directions of the second.
        n: data points, more than the larger of the two plus one.

    Returns:
        float64 ``(min(d1, d2),)``, largest first.
    """
    if not (min(d1, d2) > 0 and max(d1, d2) < n - 1):
        raise ValueError(f"canonical correlations of {d1} and {d2} directions are not defined for {n} data points")
    smaller, larger = sorted((d1, d2))
    draw = _simulate if smaller <= SIMULATED else _wachter
    return draw(smaller, larger, n - 1)


def _wachter(smaller: int, larger: int, freedom: int, steps: int = 100_000) -> Tensor:
    """Means of the equally probable slices of the law that the coefficients approach (Wachter 1980).

    The squares r have the density √((r - low)(high - r)) / (2π q r (1 - r)), and where both representations together
    outnumber the degrees of freedom, the rest of the probability at 1.
    """
    p, q = larger / freedom, smaller / freedom
    a, b = math.sqrt(p * (1 - q)), math.sqrt(q * (1 - p))
    middle, half = a * a + b * b, 2 * a * b
    angle = (np.arange(steps) + 0.5) * math.pi / steps  # r = middle + half cos(angle) takes the roots away
    squares = middle + half * np.cos(angle)
    probability = (half * np.sin(angle)) ** 2 / (2 * q * squares * (1 - squares)) / steps
    at_one = max(0.0, (p + q - 1) / q)
    below = np.cumsum(np.concatenate([[0.0, at_one], probability]))
    integral = np.cumsum(np.concatenate([[0.0, at_one], probability * np.sqrt(squares)]))
    return torch.from_numpy(np.diff(np.interp(np.linspace(0, below[-1], smaller + 1), below, integral)) * smaller)


def _simulate(smaller: int, larger: int, freedom: int) -> Tensor:
    """Means over draws of two Wishart matrices, the same at every call."""
    rng = np.random.default_rng(0)
    draws = 20_000 // smaller
    explained, left_over = (_wishart_factors(rng, draws, degrees, smaller) for degrees in (larger, freedom - larger))
    basis = np.linalg.qr(np.concatenate([explained, left_over], axis=1))[0]
    return torch.from_numpy(np.linalg.svd(basis[:, :smaller], compute_uv=False).mean(axis=0))


def _wishart_factors(rng: np.random.Generator, draws: int, freedom: int, width: int) -> np.ndarray:
    """Triangular R of which RᵀR is distributed as ZᵀZ for a Gaussian Z of ``freedom`` rows (Bartlett 1933).

    Returns:
        ``(draws, min(freedom, width), width)``.
    """
    rows = min(freedom, width)
    triangle = np.triu(rng.standard_normal((draws, rows, width)))
    diagonal = np.arange(rows)
    triangle[:, diagonal, diagonal] = np.sqrt(rng.chisquare(freedom - diagonal, (draws, rows)))
    return triangle


def chance_cka(xx: Tensor, yy: Tensor, n: int) -> float:
    """Expected biased linear CKA when the data points of one representation are permuted, exactly.

    Args:
        xx: ``(d1, d1)``, scatter matrix of the first representation.
        yy: ``(d2, d2)``, of the second.
        n: data points.
    """
    return float(xx.trace() * yy.trace() / ((n - 1) * xx.norm() * yy.norm()))


def chance_procrustes(xx: Tensor, yy: Tensor, n: int) -> float:
    """Expected Procrustes similarity of independent data with these scatter matrices, by simulation.

    The directions of centred Gaussian data lie at random in the n - 1 dimensions that are left to them, so the cross
    scatter is a block of a random orthogonal matrix between the square roots of the scatters; one side alone needs to
    be Gaussian. The block has no independent Gaussian entries unless n is far above the number of neurons. The mean
    over the draws is more exact by far than a single pair of networks is near its expectation.

    Args:
        xx: ``(d1, d1)``, scatter matrix of the first representation.
        yy: ``(d2, d2)``, of the second.
        n: data points.
    """
    freedom = n - 1  # also the most directions that n centred points can have
    roots = [torch.linalg.eigvalsh(scatter).clamp(min=0).sqrt()[-freedom:] for scatter in (xx, yy)]
    narrow, wide = sorted(roots, key=len)
    draws = min(max(4, 1_000_000 // (len(narrow) * len(wide))), 1000)
    # The block is made of the first rows of Gaussian columns; the others matter by their scatter alone.
    rng = np.random.default_rng(0)
    first = rng.standard_normal((draws, len(wide), len(narrow)))
    others = _wishart_factors(rng, draws, freedom - len(wide), len(narrow))
    rows, rest = (torch.from_numpy(values).to(xx) for values in (first, others))
    factor = torch.linalg.cholesky(rows.mT @ rows + rest.mT @ rest, upper=True)
    block = torch.linalg.solve_triangular(factor, rows, upper=True, left=False)
    cross = block.mul_(wide[:, None]).mul_(narrow)
    total = torch.linalg.eigvalsh(cross.mT @ cross).clamp(min=0).sqrt().sum(dim=1).mean()
    return float(total / (narrow.norm() * wide.norm()))
