"""Self-challenging Fisher discriminant analysis."""

from math import exp

import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class SFDA(Score):
    """Mean probability of the labels by a regularised discriminant analysis of features made harder to tell apart.

    The within-class covariance is shrunk to a sphere by s = max(exp(-5 λ), 1e-10), λ its largest eigenvalue (which the
    authors' code comes near by three double steps of a power iteration). Then each image moves to the mean of the
    other classes' means, the further the less sure the analysis is of it (ConfMix), and a second analysis of these
    images, with the same s, gives the score. The scale of the features matters, by s. With N < D nearly everything
    can be told apart and the score is near 1 whatever the network.
    """

    name = "sfda"
    title = "SFDA"
    paper = "Shao et al., Not all models are equal: Predicting model transferability in a SFDA space, ECCV 2022"

    def __call__(self, sample: Sample) -> float:
        """The score."""
        features, dimensions = sample.principal, sample.features.shape[1]
        within = _within(sample, features)
        shrinkage = max(exp(-5 * float(torch.linalg.eigvalsh(within)[-1])), 1e-10)
        sure = _right(sample, _posterior(sample, features, within, shrinkage, dimensions).softmax(dim=1))[:, None]
        means = sample.means(features)
        others = (means.sum(dim=0) - means) / (sample.classes - 1)
        mixed = sure * features + (1 - sure) * others[sample.labels]
        second = _posterior(sample, mixed, _within(sample, mixed), shrinkage, dimensions)
        return float(_right(sample, second).mean())


def _right(sample: Sample, values: Tensor) -> Tensor:
    """Of (N, K) what belongs to each image's own class: (N,)."""
    return values.gather(1, sample.labels[:, None])[:, 0]


def _within(sample: Sample, features: Tensor) -> Tensor:
    """The mean covariance within classes, each weighing as many as its images: (d, d)."""
    apart = features - sample.means(features)[sample.labels]
    return apart.T @ apart / len(apart)


def _posterior(sample: Sample, features: Tensor, within: Tensor, shrinkage: float, dimensions: int) -> Tensor:
    """Probabilities of the classes, Gaussians of one covariance, by Bayes's rule: (N, K).

    The generalised eigenvectors W of discriminant analysis have W Wᵀ = covariance⁻¹, so none need be found.
    """
    # Classes whose images are all equal leave no scale but that of the whole.
    scale = max(float(within.trace()), 1e-12 * float(features.square().mean(dim=0).sum())) / dimensions
    shrunk = (1 - shrinkage) * within + shrinkage * scale * torch.eye(len(within), dtype=within.dtype)
    means = sample.means(features)
    weights: Tensor = torch.linalg.solve(shrunk, means.T)
    biases = (sample.counts / len(features)).log() - 0.5 * (means * weights.T).sum(dim=1)
    return torch.softmax(features @ weights + biases, dim=1)
