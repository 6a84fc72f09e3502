"""Patient recognition rate: how much of a patient's images is recognised, with every patient counting the same."""

from __future__ import annotations

import torch
from torch import Tensor

from transfusion_cli.metrics.one_vs_rest import OneVsRest


def recognition_rate(questions: OneVsRest, clusters: Tensor, weights: Tensor) -> Tensor:
    """Mean over patients of the share of their images that is decided rightly (Spanhol et al. 2016).

    Accuracy lets a patient with many images count more; here each counts once (doi:10.1109/TBME.2015.2496264). For one
    decision per image, so not for multilabel targets. Images with unknown targets are left out.

    Args:
        questions: predictions and truth.
        clusters: int64 (N,), the patient of each image, from 0 to C - 1.
        weights: float64 (N,); a patient counts by the mean of his images' weights, and so does his share.

    Returns:
        A scalar, NaN where no image is known.
    """
    known = questions.known[:, 0].double()
    right = (questions.chosen == questions.truth).all(dim=1) * known
    right_known_weight = torch.zeros(3, len(clusters.unique()), dtype=torch.float64)
    right_known_weight = right_known_weight.index_add(1, clusters, torch.stack([right, known, weights * known]))
    right, known, weight = right_known_weight[:, right_known_weight[1] > 0].unbind()
    return (right / known * weight / known).sum() / (weight / known).sum()
