"""LEEP for networks without a head: clusters stand for the source's classes."""

import warnings

import torch

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.leep import expected_log
from transfusion_cli.transferability.scores.sample import Sample


class NLEEP(Score):
    """LEEP of the posteriors of a mixture of Gaussians in the leading principal directions.

    The Gaussians have full covariances, as published: with fewer images each than directions, they hold on to single
    images and the score is near 0, its maximum, whatever the network.

    Args:
        energy: share of the variance that the directions hold.
        components: Gaussians for each class of the target; never more than one for two images, since with one for
            each image every network would seem perfect.
    """

    name = "nleep"
    title = "N-LEEP"
    paper = "Li et al., Ranking neural checkpoints, CVPR 2021"

    def __init__(self, energy: float = 0.8, components: int = 5) -> None:
        self.energy, self.components = energy, components

    def __call__(self, sample: Sample) -> float:
        """The score."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        _, values = sample.centred
        shares = values.square().cumsum(dim=0) / values.square().sum()
        directions = int((shares < self.energy).sum()) + 1
        leading = sample.principal[:, :directions]
        # Of one scale for all networks, or what the mixture adds to its variances would depend on it.
        principal = (leading / leading.square().mean().sqrt()).numpy()
        count = max(1, min(self.components * sample.classes, len(principal) // 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            posteriors = GaussianMixture(count, random_state=0).fit(principal).predict_proba(principal)
        return expected_log(torch.from_numpy(posteriors), sample.answers)
