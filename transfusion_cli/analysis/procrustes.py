"""How well a rotation takes one representation to the other."""

import math

import torch

from transfusion_cli.analysis.chance import chance_procrustes
from transfusion_cli.analysis.score import Score
from transfusion_cli.analysis.streaming import PairMoments
from transfusion_cli.errors import UserError


def procrustes(moments: PairMoments) -> Score:
    """Orthogonal Procrustes similarity: the sum of the singular values of the cross covariance.

    Representations are centred and scaled to Frobenius norm 1, so it lies between 0 and 1. The representation with
    fewer neurons is taken as filled up with zeros, which changes nothing in the sum.

    Args:
        moments: Of the two representations.

    Raises:
        UserError: If a representation is constant.
    """
    size = float((moments.xx.trace() * moments.yy.trace()).sqrt())
    if not size > 0:
        raise UserError(
            "The Procrustes similarity to a constant representation is undefined\n"
            f"({moments.d1} and {moments.d2} neurons over {moments.n} data points).\n"
            "Compare another layer, or more data points."
        )
    value = min(float(torch.linalg.svdvals(moments.xy).sum()) / size, 1.0)
    chance = chance_procrustes(moments.xx, moments.yy, moments.n)
    return Score(value, chance, moments.n, moments.d1, moments.d2, moments.d1, moments.d2)


def procrustes_distance(similarity: float) -> float:
    """Squared distance after the best rotation, 0 to 2 (Ding, Denain and Steinhardt 2021)."""
    return 2 - 2 * similarity


def procrustes_angle(similarity: float) -> float:
    """Angle after the best rotation in radians, 0 to π/2: a metric (Williams et al. 2021)."""
    return math.acos(similarity)
