"""Canonical correlations of two representations, and the similarities made of them.

Canonical correlation analysis finds the pairs of directions, one in each representation, that correlate most, each
pair uncorrelated with those before. Its coefficients do not change under invertible linear maps of either side. With
more than n - 1 directions in both together some coefficients are 1 whatever the data; the chance level says so.
"""

import torch
from torch import Tensor

from transfusion_cli.analysis.measures.chance import chance_coefficients
from transfusion_cli.analysis.measures.score import Score
from transfusion_cli.analysis.measures.streaming import PairMoments
from transfusion_cli.analysis.measures.whitening import EPSILON, leading_whitener, whitener
from transfusion_cli.errors import UserError


def cca_coefficients(moments: PairMoments, epsilon: float = EPSILON) -> Tensor:
    """Canonical correlation coefficients.

    Args:
        moments: of the two representations.
        epsilon: neurons with less than this share of the largest variance are left out, and so are directions with
            less than this share of the largest eigenvalue of the correlation matrix.

    Returns:
        float64, in [0, 1], largest first, one for each direction of the smaller representation that is left.

    Raises:
        UserError: if there are too few data points, or no neuron of a representation varies.
    """
    return _coefficients(moments, *_whiteners(moments, epsilon))


def svcca_coefficients(moments: PairMoments, keep: float | int = 0.99, epsilon: float = EPSILON) -> Tensor:
    """Canonical correlation coefficients of the principal directions; arguments and errors as for ``svcca``."""
    return _coefficients(moments, *_leading_whiteners(moments, keep, epsilon))


def mean_cca(moments: PairMoments, mass: float = 1.0, epsilon: float = EPSILON) -> Score:
    """Mean of the canonical correlation coefficients (Raghu et al. 2019).

    Args:
        moments: of the two representations.
        mass: average over the leading coefficients that hold this share of their sum; google/svcca takes 0.98.
        epsilon: as for ``cca_coefficients``.

    Raises:
        UserError: as for ``cca_coefficients``.
    """
    w1, w2 = _whiteners(moments, epsilon)
    return _mean_score(moments, w1, w2, mass)


def svcca(moments: PairMoments, keep: float | int = 0.99, mass: float = 1.0, epsilon: float = EPSILON) -> Score:
    """Mean canonical correlation of the principal directions (Raghu et al. 2017).

    Args:
        moments: of the two representations.
        keep: a float: keep the fewest principal directions that hold this share of the variance, 0.99 in the paper.
            An int: keep so many, of each representation.
        mass: as for ``mean_cca``.
        epsilon: directions with less than this share of the largest one's variance are never kept.

    Raises:
        UserError: as for ``cca_coefficients``, or if ``keep`` is neither a share nor a number of directions.
    """
    w1, w2 = _leading_whiteners(moments, keep, epsilon)
    return _mean_score(moments, w1, w2, mass)


def pwcca(moments: PairMoments, epsilon: float = EPSILON) -> Score:
    """Projection-weighted mean of the canonical correlation coefficients (Morcos, Raghu and Bengio 2018).

    A canonical variate of the first representation weighs as much as that representation's neurons project on it:
    the sum over its neurons of the absolute inner product. So the two arguments do not play the same part.

    Args:
        moments: of the two representations.
        epsilon: as for ``cca_coefficients``.

    Raises:
        UserError: as for ``cca_coefficients``.
    """
    w1, w2 = _whiteners(moments, epsilon)
    left, coefficients, _ = torch.linalg.svd(_whitened_cross(moments, w1, w2), full_matrices=False)
    # Variate i is (leftᵀ w1)_i · u; its inner products with the neurons are that row times the scatter matrix.
    weights = (left.T @ (w1 @ moments.xx)).abs().sum(dim=1)
    value = float((weights * coefficients.clamp(0, 1)).sum() / weights.sum())
    # For independent data weights and coefficients are independent: the plain mean's chance level.
    return _score(moments, w1, w2, value, float(chance_coefficients(len(w1), len(w2), moments.n).mean()))


def leading_mean(coefficients: Tensor, mass: float = 1.0) -> float:
    """Mean over the fewest leading coefficients that hold ``mass`` of their sum."""
    if mass >= 1:
        return float(coefficients.mean())
    share = coefficients.cumsum(0) / coefficients.sum()
    return float(coefficients[: int((share < mass).sum()) + 1].mean())


def _whiteners(moments: PairMoments, epsilon: float) -> tuple[Tensor, Tensor]:
    return (
        whitener(moments.xx, moments.mean1, moments.n, epsilon),
        whitener(moments.yy, moments.mean2, moments.n, epsilon),
    )


def _leading_whiteners(moments: PairMoments, keep: float | int, epsilon: float) -> tuple[Tensor, Tensor]:
    if not (keep >= 1 if isinstance(keep, int) else 0 < keep <= 1):
        raise UserError(
            f"SVCCA cannot keep {keep!r} directions\n"
            "A share of the variance lies between 0.0 and 1.0, a number of directions is a whole number from 1.\n"
            "Try 0.99 or 20."
        )
    return (
        leading_whitener(moments.xx, moments.mean1, moments.n, keep, epsilon),
        leading_whitener(moments.yy, moments.mean2, moments.n, keep, epsilon),
    )


def _whitened_cross(moments: PairMoments, w1: Tensor, w2: Tensor) -> Tensor:
    if not (len(w1) and len(w2)):
        raise UserError(
            f"No neuron of the {'second' if len(w1) else 'first'} representation varies over {moments.n} data points\n"
            f"({moments.d1} and {moments.d2} neurons were compared).\n"
            "Compare another layer, or more data points."
        )
    most = max(len(w1), len(w2))
    if moments.n <= most + 1:  # n centred points span n - 1 directions: all of them correlate perfectly
        raise UserError(
            f"{moments.n} data points are too few: their canonical correlations are 1 whatever the data\n"
            f"({len(w1)} and {len(w2)} directions need {most + 2} or more, and 5 to 10 each to be stable).\n"
            f"Give {5 * most} images or positions, or take SVCCA with fewer directions."
        )
    return w1 @ moments.xy @ w2.T


def _coefficients(moments: PairMoments, w1: Tensor, w2: Tensor) -> Tensor:
    return torch.linalg.svdvals(_whitened_cross(moments, w1, w2)).clamp(0, 1)


def _mean_score(moments: PairMoments, w1: Tensor, w2: Tensor, mass: float) -> Score:
    value = leading_mean(_coefficients(moments, w1, w2), mass)
    return _score(moments, w1, w2, value, leading_mean(chance_coefficients(len(w1), len(w2), moments.n), mass))


def _score(moments: PairMoments, w1: Tensor, w2: Tensor, value: float, chance: float) -> Score:
    return Score(value, chance, moments.n, moments.d1, moments.d2, len(w1), len(w2))
