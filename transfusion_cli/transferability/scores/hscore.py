"""The H-score."""

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class HScore(Score):
    """tr(cov(f)⁺ cov(E[f | y])): how much of the features' variation is between classes, in whitened coordinates.

    With the features' left singular vectors u this is Σ_c n_c |mean_c(u)|². At N <= D + 1 images in general position
    it is K - 1 whatever the network: see ``HScoreShrinkage``.
    """

    name = "hscore"
    title = "H-score"
    paper = "Bao et al., An information-theoretic approach to transferability in task transfer learning, ICIP 2019"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        left, _ = sample.centred
        return float(sample.counts @ sample.means(left).square().sum(dim=1))
