"""How far features are on their way to neural collapse."""

import warnings
from math import exp

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample

DIRECTIONS, LEADING = 64, 32
"""Principal directions that are looked at, and those whose variance sets the shrinkage, as published."""


class NCTI(Score):
    """A score of a set of candidates: three terms, each scaled over the set to 0 ... 1, the first two less the third.

    In 64 principal directions a discriminant analysis (shrunk by exp(-V), V the variance in the first 32; not at all
    where that is below 1e-10) gives K - 1 coordinates and the probabilities of the classes. The terms are the nuclear
    norm of the coordinates (larger as they fill their space), the mean probability of the labels, and the log of the
    nuclear norms of each class's probabilities, summed (smaller as the classes collapse). A term that is the same for
    all candidates counts 0, so a candidate alone has score 0.
    """

    name = "ncti"
    title = "NCTI"
    paper = "Wang et al., How far pre-trained models are from neural collapse on the target dataset, ICCV 2023"

    def __call__(self, sample: Sample) -> float:
        """The score of a candidate alone."""
        return self.combine([self.terms(sample)])[0]

    def terms(self, sample: Sample) -> tuple[float, ...]:
        """Nuclear norm of the coordinates, mean probability, log of the summed nuclear norms of probabilities."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        leading = sample.principal[:, :DIRECTIONS]
        within = leading - sample.means(leading)[sample.labels]
        features, labels = leading.numpy(), sample.labels.numpy()
        if within.abs().max() <= 1e-10 * leading.abs().max():
            raise UserError(
                "All images of a class have the same features, for each class.\n"
                "NCTI divides by how far they differ.\n"
                "Take more images, or leave NCTI out."
            )
        shrinkage = exp(-features[:, :LEADING].var(axis=0, ddof=1).sum())
        solver = {"solver": "eigen", "shrinkage": shrinkage} if shrinkage > 1e-10 else {"solver": "svd"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # directions that do not vary within classes; a class of one image
            analysis = LinearDiscriminantAnalysis(**solver).fit(features, labels)
            coordinates, chances = analysis.transform(features), analysis.predict_proba(features)
        collapse = sum(np.linalg.norm(chances[labels == label], "nuc") for label in range(sample.classes))
        spread = np.linalg.norm(coordinates - coordinates.mean(axis=0), "nuc")
        return float(spread), float(chances[np.arange(len(labels)), labels].mean()), float(np.log(collapse))

    def combine(self, terms: list[tuple[float, ...]]) -> list[float]:
        """The scores of the set."""
        table = np.array(terms)
        width = np.ptp(table, axis=0)
        scaled = np.divide(table - table.min(axis=0), width, out=np.zeros_like(table), where=width > 0)
        return list((scaled @ [1.0, 1.0, -1.0]).tolist())
