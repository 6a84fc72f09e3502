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
from transfusion_cli.analysis.measures.whitening import leading_whitener, whitener
from transfusion_cli.errors import UserError


def cca_coefficients(moments: PairMoments) -> Tensor:
    """Canonical correlation coefficients.

    Args:
        moments: of the two representations.

    Returns:
        float64, in [0, 1], largest first, one for each direction of the smaller representation that varies.

    Raises:
        UserError: if there are too few data points, or no neuron of a representation varies.
    """
    return _coefficients(moments, *_whiteners(moments))


def mean_cca(moments: PairMoments) -> Score:
    """Mean of the canonical correlation coefficients (Raghu et al. 2019); errors as for ``cca_coefficients``."""
    return _mean_score(moments, *_whiteners(moments))


def svcca(moments: PairMoments, keep: float | int = 0.99) -> Score:
    """Mean canonical correlation of the principal directions (Raghu et al. 2017).

    Args:
        moments: of the two representations.
        keep: a float: keep the fewest principal directions that hold this share of the variance, 0.99 in the paper.
            An int: keep so many, of each representation.

    Raises:
        UserError: as for ``cca_coefficients``.
    """
    sides = (moments.xx, moments.mean1), (moments.yy, moments.mean2)
    w1, w2 = (leading_whitener(scatter, mean, moments.n, keep) for scatter, mean in sides)
    return _mean_score(moments, w1, w2)


def pwcca(moments: PairMoments) -> Score:
    """Projection-weighted mean of the canonical correlation coefficients (Morcos, Raghu and Bengio 2018).

    A canonical variate of the first representation weighs as much as that representation's neurons project on it:
    the sum over its neurons of the absolute inner product. So the two arguments do not play the same part. Errors as
    for ``cca_coefficients``.
    """
    w1, w2 = _whiteners(moments)
    left, coefficients, _ = torch.linalg.svd(_whitened_cross(moments, w1, w2), full_matrices=False)
    # Variate i is (leftᵀ w1)_i · u; its inner products with the neurons are that row times the scatter matrix.
    weights = (left.T @ (w1 @ moments.xx)).abs().sum(dim=1)
    # For independent data weights and coefficients are independent: the plain mean's chance level.
    return Score(float((weights * coefficients.clamp(0, 1)).sum() / weights.sum()), _chance(moments, w1, w2))


def _whiteners(moments: PairMoments) -> tuple[Tensor, Tensor]:
    return whitener(moments.xx, moments.mean1, moments.n), whitener(moments.yy, moments.mean2, moments.n)


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
    return torch.clamp(torch.linalg.svdvals(_whitened_cross(moments, w1, w2)), 0, 1)


def _mean_score(moments: PairMoments, w1: Tensor, w2: Tensor) -> Score:
    return Score(float(_coefficients(moments, w1, w2).mean()), _chance(moments, w1, w2))


def _chance(moments: PairMoments, w1: Tensor, w2: Tensor) -> float:
    return float(chance_coefficients(len(w1), len(w2), moments.n).mean())
