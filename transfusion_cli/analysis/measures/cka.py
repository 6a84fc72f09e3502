"""Linear centred kernel alignment (Kornblith et al. 2019), biased and without bias, over all data points at once.

Averaging CKA over batches, as is often done, gives another and batch-dependent number; here batches only add up.
"""

from torch import Tensor

from transfusion_cli.analysis.measures.chance import chance_cka
from transfusion_cli.analysis.measures.score import Score
from transfusion_cli.analysis.measures.streaming import PairMoments
from transfusion_cli.errors import UserError


def cka(moments: PairMoments) -> Score:
    """Linear CKA without bias: 0 on average for independent representations, and negative about as often as positive.

    Raises:
        UserError: if there are fewer than 4 data points, or too few to tell a representation from noise.
    """
    if moments.n < 4:
        raise _undefined(moments, "4 or more data points are needed")
    spread1, spread2 = moments.xx.trace(), moments.yy.trace()
    hsic11 = _hsic(moments.xx, spread1, spread1, moments.norms[0, 0], moments.n)
    hsic12 = _hsic(moments.xy, spread1, spread2, moments.norms[0, 1], moments.n)
    hsic22 = _hsic(moments.yy, spread2, spread2, moments.norms[1, 1], moments.n)
    if not (hsic11 > 0 and hsic22 > 0):
        raise _undefined(moments, "a representation is constant, or too spread out for so few data points")
    return Score(float(hsic12 / (hsic11 * hsic22).sqrt()), 0.0)


def biased_cka(moments: PairMoments) -> Score:
    """Linear CKA as first published, with a bias that nears 1 where neurons far outnumber data points.

    Raises:
        UserError: if a representation is constant.
    """
    sizes = moments.xx.norm() * moments.yy.norm()
    if not sizes > 0:
        raise _undefined(moments, "a representation is constant")
    value = float(moments.xy.square().sum() / sizes)
    return Score(min(value, 1.0), chance_cka(moments.xx, moments.yy, moments.n))


def _hsic(cross: Tensor, spread1: Tensor, spread2: Tensor, norms: Tensor, n: int) -> Tensor:
    """The unbiased estimator of Song et al. 2012, times n (n - 3).

    With K̃ and L̃ the kernels with empty diagonals it is tr(K̃L̃) + 1ᵀK̃1 1ᵀL̃1 / ((n-1)(n-2)) - 2/(n-2) 1ᵀK̃L̃1. It does
    not change when activations are centred. Then rows of K = U Uᵀ sum to 0, so K̃1 = -(|u₁|², |u₂|², ...), and
    tr(K̃L̃) = |UᵀV|² - Σ|u|²|v|²: no n × n matrix is left.
    """
    return cross.square().sum() - n / (n - 2) * norms + spread1 * spread2 / ((n - 1) * (n - 2))


def _undefined(moments: PairMoments, why: str) -> UserError:
    return UserError(
        f"CKA of {moments.d1} and {moments.d2} neurons over {moments.n} data points is undefined\n"
        f"because {why}.\n"
        "Give more images or positions, or compare another layer."
    )
