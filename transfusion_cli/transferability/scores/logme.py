"""Logarithm of maximum evidence."""

from math import log, pi

from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample

STEPS, CLOSE, GUARD = 11, 1e-3, 1e-5
"""As published: most steps of the fixed point, when it has come to rest, and what keeps its quotients finite."""


class LogME(Score):
    """Mean over classes of the log evidence per image of a Bayesian linear regression on the class's 0 and 1.

    The prior's precision α and the noise's precision β are those of the greatest evidence, found by a fixed point in
    the coordinates of the singular value decomposition (You et al. 2021, algorithm 2). Directions in which the
    features do not vary, all but N of them when N < D, say nothing and add nothing: their ½ log α from the prior and
    from the determinant cancel, which the authors' code forgets.
    """

    name = "logme"
    title = "LogME"
    paper = "You et al., LogME: Practical assessment of pre-trained models for transfer learning, ICML 2021"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        left, values = sample.raw
        energies = (left.T @ sample.answers).square()
        found = [
            _evidence(values.square(), energy, float(count), len(left))
            for energy, count in zip(energies.T, sample.counts, strict=True)
        ]
        return sum(found) / len(found)


def _evidence(squares: Tensor, energy: Tensor, norm: float, n: int) -> float:
    """The greatest log evidence of one regression, per image.

    Args:
        squares: (k,), squared singular values of the features.
        energy: (k,), squared coordinates of the answers along the left singular vectors.
        norm: the squared norm of the answers.
        n: images.
    """
    outside = max(norm - float(energy.sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(STEPS):
        ratio = alpha / beta
        free = ratio / (squares + ratio)
        weights = float((squares * energy / (squares + ratio).square()).sum())
        residual = float((energy * free.square()).sum()) + outside
        alpha = float((squares / (squares + ratio)).sum()) / (weights + GUARD)
        beta = (n - len(squares) + float(free.sum())) / (residual + GUARD)
        if abs(alpha / beta - ratio) <= CLOSE * ratio:
            break
    determinant = len(squares) * log(alpha) - float((alpha + beta * squares).log().sum())
    return 0.5 * (determinant + n * log(beta / (2 * pi)) - beta * residual - alpha * weights) / n
