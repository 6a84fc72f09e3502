"""What a network made of the images of a split, in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from transfusion_cli.data.dataset import ImageDataset
from transfusion_cli.data.feature_store import Rows
from transfusion_cli.data.sampler import Key

Batch = dict[str, Tensor]


class FeatureSet(Dataset[Batch]):
    """Batches of ``features`` (B, ...), ``target`` and ``index``, where an ``ImageDataset`` gives ``image``.

    Args:
        images: what the features are of.
        views: how many of each image there are, in turn over the epochs.
    """

    def __init__(self, images: ImageDataset, views: int = 1) -> None:
        self.images, self.views = images, views
        self.columns: Rows | None = None
        """What was made of ``keys``, once it was; of ``encoded`` features."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def keys(self) -> list[Key]:
        """Position and view of all there are features of, view after view."""
        return [(position, view) for view in range(self.views) for position in range(len(self))]

    def __getitems__(self, keys: Sequence[Key | int]) -> Batch:
        """A whole batch, which is read at once."""
        pairs = np.array([key if isinstance(key, tuple) else (key, 0) for key in keys])
        positions, epochs = pairs.T
        return self._rows(positions + len(self) * (epochs % self.views))

    def all(self, size: int = 8192) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and targets of everything, in batches of at most ``size``."""
        for start in range(0, len(self) * self.views, size):
            batch = self._rows(np.arange(start, min(start + size, len(self) * self.views)))
            yield batch["features"], batch["target"]

    def _rows(self, places: np.ndarray) -> Batch:
        assert self.columns is not None
        rows = self.images.rows[places % len(self)]
        return {
            "features": decoded(self.columns, places),
            "target": torch.from_numpy(self.images.targets[rows]),
            "index": torch.from_numpy(rows),
        }


def encoded(features: Tensor) -> Rows:
    """Features as arrays, bit for bit; NumPy does not know bfloat16, whose name then is the column's."""
    features = features.detach().cpu()
    if features.dtype == torch.bfloat16:
        return {"bfloat16": features.view(torch.int16).numpy()}
    return {"features": features.numpy()}


def decoded(columns: Rows, places: np.ndarray) -> Tensor:
    """Some rows of what ``encoded`` made."""
    if "bfloat16" in columns:
        return torch.from_numpy(columns["bfloat16"][places]).view(torch.bfloat16)
    return torch.from_numpy(columns["features"][places])
