"""Nearest neighbours, a baseline."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.held_out import macro_auroc
from transfusion_cli.transferability.scores.sample import Sample

CHUNK = 1024
"""Images asked at a time: memory is this times N."""


class KNN(Score):
    """AUROC (mean over classes against the rest) of the share of each class among the nearest images of other patients.

    Args:
        k: neighbours; all others where there are fewer.
        metric: cosine of the raw features, or their Euclidean distance.
    """

    name = "knn"
    title = "Nearest neighbours"
    paper = "Cover and Hart, Nearest neighbor pattern classification, 1967; leaving out a patient at a time"

    def __init__(self, k: int = 10, metric: Literal["cosine", "euclidean"] = "cosine") -> None:
        self.k, self.metric = k, metric

    def __call__(self, sample: Sample) -> float:
        """The score."""
        return macro_auroc(sample, self.shares(sample))

    def shares(self, sample: Sample) -> Tensor:
        """The share of each class among each image's neighbours: float64 (N, K); 0 where there are no others."""
        points = F.normalize(sample.features, dim=1) if self.metric == "cosine" else sample.features
        patients, answers = sample.patients, sample.answers
        found = []
        for rows in torch.arange(len(points)).split(CHUNK):
            # Of unit vectors the nearest by Euclid are the nearest by cosine; the row's own norm changes no order.
            nearness = 2 * points[rows] @ points.T - points.square().sum(dim=1)
            nearness[patients[rows, None] == patients] = -torch.inf
            nearest = nearness.topk(min(self.k, len(points)))
            known = (nearest.values > -torch.inf).double()[:, :, None]
            found.append((answers[nearest.indices] * known).sum(dim=1) / known.sum(dim=1).clamp(min=1))
        return torch.cat(found)
