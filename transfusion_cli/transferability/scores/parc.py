"""Pairwise annotation representation comparison."""

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class PARC(Score):
    """100 × Spearman's correlation of how unlike two images' features and labels are, over all pairs of images.

    Unlike is 1 - Pearson's correlation: of the leading principal directions, each scaled to variance 1; and of the
    labels as 0 and 1 in K columns, which has two values, for images of the same class and of different ones. Pearson's
    correlation takes the mean over directions off, so the score hangs on their signs, which are chosen as by
    ``thin_svd``. Where all pairs are equally unlike, as along a single direction, nothing correlates and it is 0; with
    fewer images than directions nearly so, whatever the network.

    Args:
        directions: principal directions.
        most: images; of more, so many are drawn. Their pairs take half a gigabyte at 5000.
    """

    name = "parc"
    title = "PARC"
    paper = "Bolya, Mittapalli and Hoffman, Scalable diverse model selection for accessible transfer learning, 2021"

    def __init__(self, directions: int = 32, most: int = 5000) -> None:
        self.directions, self.most = directions, most

    def __call__(self, sample: Sample) -> float:
        """The score."""
        # Left singular vectors are principal coordinates of equal variance; Pearson's correlation knows no scale.
        features, labels = sample.centred[0][:, : self.directions], sample.labels
        if len(labels) > self.most:
            drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[: self.most]
            features, labels = features[drawn], labels[drawn]
        differ = torch.cat([labels[row + 1 :] != label for row, label in enumerate(labels)]).numpy()
        return 100 * _spearman(_pairs(features), differ)


def _spearman(distances: np.ndarray, differ: np.ndarray) -> float:
    """Spearman's correlation of numbers with a bool, both (M,): their AUROC in other units, which takes no ranks."""
    apart, same = np.sort(distances[differ]), np.sort(distances[~differ])  # both: a search in order is much faster
    if not (len(apart) and len(same)):
        return 0.0
    below = np.searchsorted(apart, same, "left") + np.searchsorted(apart, same, "right")
    auroc = 1 - below.mean() / (2 * len(apart))
    pairs, ties = len(differ), np.unique(distances, return_counts=True)[1].astype(float)
    variance = (pairs**2 - 1 - ((ties**3 - ties) / pairs).sum()) / 12
    return float(np.sqrt(len(apart) * len(same) / variance) * (auroc - 0.5)) if len(ties) > 1 else 0.0


def _pairs(features: Tensor) -> np.ndarray:
    """1 - Pearson's correlation of every two rows, rounded so that equal pairs stay equal: ``(N (N - 1) / 2,)``."""
    rows = features - features.mean(dim=1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    rows = torch.where(length > 1e-12 * features.norm(dim=1, keepdim=True), rows / length, 0.0)
    return torch.cat([1 - rows[at + 1 :] @ row for at, row in enumerate(rows)]).round(decimals=12).numpy()
