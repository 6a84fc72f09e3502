"""Patient recognition rate: how much of a patient's images is recognised, with every patient counting the same."""

from __future__ import annotations

import torch
from torch import Tensor

from transfusion_cli.metrics.one_vs_rest import OneVsRest


class RecognitionRate:
    """Mean over patients of the share of their images that is decided rightly (Spanhol et al. 2016).

    Accuracy lets a patient with many images count more; here each counts once (doi:10.1109/TBME.2015.2496264). For one
    decision per image, so not for multilabel targets. Images with unknown targets are left out.

    Args:
        questions: predictions and truth.
        clusters: int64 (N,), the patient of each image, from 0 to C - 1.
    """

    def __init__(self, questions: OneVsRest, clusters: Tensor) -> None:
        known = questions.known[:, 0]
        right = (questions.chosen == questions.truth).all(dim=1) & known
        of_patient = torch.zeros(2, max(1, len(clusters.unique())), dtype=torch.float64)
        of_patient.index_add_(1, clusters, torch.stack([right, known]).double())
        self._seen = of_patient[1] > 0
        self._scores = (of_patient[0] / of_patient[1])[self._seen]

    def __call__(self, weights: Tensor) -> Tensor:
        """The rate (R,), NaN where no image is known, for weights (C, R), how often each patient was drawn."""
        weights = weights[self._seen].double()
        return self._scores @ weights / weights.sum(dim=0)
