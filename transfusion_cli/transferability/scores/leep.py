"""Log expected empirical prediction."""

import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class LEEP(Score):
    """Mean log probability of the labels, told from the source's classes z alone: Σ_z P(y | z) θ_z(x)."""

    name = "leep"
    title = "LEEP"
    paper = "Nguyen et al., LEEP: A new measure to evaluate transferability of learned representations, ICML 2020"
    needs_source = True

    def __call__(self, sample: Sample) -> float:
        """The score."""
        assert sample.source is not None
        return expected_log(sample.source, sample.answers)


def expected_log(source: Tensor, answers: Tensor) -> float:
    """Mean over images of log Σ_z P(y_i | z) θ_z(x_i).

    Args:
        source: (N, Z), θ, rows sum to 1; a class z that no image shows has no P(y | z), and needs none.
        answers: (N, K), 1 where an image belongs.
    """
    joint = answers.T @ source
    given = joint / joint.sum(dim=0).clamp(min=torch.finfo(joint.dtype).tiny)
    return float(((source @ given.T) * answers).sum(dim=1).log().mean())
