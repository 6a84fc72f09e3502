"""The H-score with a covariance that is shrunk to a sphere."""

import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class HScoreShrinkage(Score):
    """tr(cov_a(f)⁻¹ (1 - a) cov(E[f | y])), cov_a(f) = (1 - a) cov(f) + a tr(cov(f)) / D · 1, a by Ledoit and Wolf."""

    name = "hscore_shrinkage"
    title = "H-score, shrinkage"
    paper = "Ibrahim, Ponomareva and Mazumder, Newer is not always better, ECML PKDD 2022"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        n, dimensions = sample.features.shape
        principal = sample.principal
        variances = principal.square().mean(dim=0)
        shrinkage = ledoit_wolf(principal, dimensions)
        shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / dimensions
        between = sample.counts / (n - 1) @ sample.means(principal).square()  # n - 1 here alone, as published
        return float(((1 - shrinkage) * between / shrunk).sum())


def ledoit_wolf(principal: Tensor, dimensions: int) -> Tensor:
    """How far to shrink a covariance matrix (Ledoit and Wolf 2004, lemma 3.2 and section 3.2), 0 to 1.

    In principal coordinates the covariance is diagonal and O(N D) is enough.

    Args:
        principal: (N, r), centred, columns uncorrelated.
        dimensions: D, of which all but r do not vary.
    """
    variances = principal.square().mean(dim=0)
    squares = variances.square().sum()
    from_sphere = squares - variances.sum().square() / dimensions
    spread = (principal.square().sum(dim=1).square().mean() - squares) / len(principal)
    return torch.where(from_sphere > 0, (spread / from_sphere).clamp(0, 1), 1.0)
