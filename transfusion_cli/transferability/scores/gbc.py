"""Gaussian Bhattacharyya coefficients."""

from typing import Literal

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample

FLOOR = 1e-4
"""The least variance, as published."""


class GBC(Score):
    """Minus the overlap of the classes, each seen as a Gaussian, summed over ordered pairs of different classes.

    The overlap of two is exp(-B), B = ⅛ Σ (μ - μ')² / s + ½ Σ log(s / √(σ² σ'²)) with s = (σ² + σ'²) / 2. Not
    reduced to 64 principal directions, as the paper does for segmentation; so with thousands of features the overlap
    may be 0 to the last bit, and networks tie.

    Args:
        form: of the covariance: ``diagonal``, or ``spherical``: the mean variance in every direction, whose
            logarithm the authors count once, not once a direction; so do we.
    """

    name = "gbc"
    title = "GBC"
    paper = "Pándy et al., Transferability estimation using Bhattacharyya class separability, CVPR 2022"

    def __init__(self, form: Literal["diagonal", "spherical"] = "diagonal") -> None:
        self.form = form

    def __call__(self, sample: Sample) -> float:
        """The score."""
        means = sample.means(sample.features)
        variances = sample.means((sample.features - means[sample.labels]).square())
        if self.form == "spherical":
            variances = variances.mean(dim=1, keepdim=True)
        variances = variances.clamp(min=FLOOR)
        overlap = 0.0
        for label, (mean, variance) in enumerate(zip(means, variances, strict=True)):
            both = (variances + variance) / 2
            apart = ((means - mean).square() / both).sum(dim=1) / 8
            unlike = (both.log() - (variances.log() + variance.log()) / 2).sum(dim=1) / 2
            overlaps = (-apart - unlike).exp()
            overlap += float(overlaps.sum() - overlaps[label])
        return 0.0 - overlap
