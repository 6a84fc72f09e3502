"""How well a rotation takes one representation to the other."""

import torch

from transfusion_cli.analysis.measures.chance import chance_procrustes
from transfusion_cli.analysis.measures.score import Score
from transfusion_cli.analysis.measures.streaming import PairMoments
from transfusion_cli.errors import UserError


def procrustes(moments: PairMoments) -> Score:
    """Orthogonal Procrustes similarity: the sum of the singular values of the cross covariance.

    Representations are centred and scaled to Frobenius norm 1, so it lies between 0 and 1. The representation with
    fewer neurons is taken as filled up with zeros, which changes nothing in the sum.

    Raises:
        UserError: if a representation is constant.
    """
    size = float((moments.xx.trace() * moments.yy.trace()).sqrt())
    if not size > 0:
        raise UserError(
            "The Procrustes similarity to a constant representation is undefined\n"
            f"({moments.d1} and {moments.d2} neurons over {moments.n} data points).\n"
            "Compare another layer, or more data points."
        )
    value = min(float(torch.linalg.svdvals(moments.xy).sum()) / size, 1.0)
    return Score(value, chance_procrustes(moments.xx, moments.yy, moments.n))
