"""TransRate as its authors' repository has it."""

import torch
from torch.nn import functional as F

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.coding_rate import coding_rate
from transfusion_cli.transferability.scores.sample import Sample


class TransRateOfficial(Score):
    """R(Z) - Σ_c n_c / n · R(Z_c) of features that are centred and then divided by their length.

    Classes count by their images, and the scale of the features does not. Without the division by the rank that the
    repository also offers.
    """

    name = "transrate_official"
    title = "TransRate, official"
    paper = "Huang et al., Frustratingly easy transferability estimation, ICML 2022 (github.com/Long-Kai/TransRate)"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        whole = F.normalize(sample.principal, dim=1, eps=torch.finfo(torch.float64).tiny)
        rates = [coding_rate(whole[sample.labels == label]) for label in range(sample.classes)]
        within = sample.counts / len(whole) @ torch.tensor(rates, dtype=torch.float64)
        return coding_rate(whole) - float(within)
