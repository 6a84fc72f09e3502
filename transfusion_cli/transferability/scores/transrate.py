"""TransRate as its paper prints it."""

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.coding_rate import coding_rate
from transfusion_cli.transferability.scores.sample import Sample


class TransRate(Score):
    """R(Z) - mean over classes of R(Z_c): what the labels save in telling the features.

    Of features as they are, less their mean, each class counting the same. It grows with their scale.
    """

    name = "transrate"
    title = "TransRate"
    paper = "Huang et al., Frustratingly easy transferability estimation, ICML 2022"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        whole = sample.principal
        rates = [coding_rate(whole[sample.labels == label]) for label in range(sample.classes)]
        return coding_rate(whole) - sum(rates) / len(rates)
