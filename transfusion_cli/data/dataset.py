"""Images and targets of one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.data.transform.resize import Resize

if TYPE_CHECKING:
    from transfusion_cli.data.transform.shuffle import BlockShuffle

Reader = Callable[[int], np.ndarray]
"""Gives the image of a row of the sample table: uint8, or float32 in [0, 1]; (H, W), (H, W, 3), or a volume (D, H, W).
Must pickle."""

Augment = Callable[[np.ndarray, int, int], np.ndarray]
"""Changes the image of an epoch and a row at random; shape and type stay. Must pickle."""


class ImageDataset(Dataset[dict[str, torch.Tensor]]):
    """Reads, resizes and augments the images of one split.

    Args:
        samples: the whole table.
        rows: rows of the table that belong here.
        read: reads the image of a row.
        resize: brings it to the size of the network.
        augment: random changes, a function of the epoch and the row; None for evaluation.
        shuffle: moves the blocks of an image, last of all; None leaves them.
    """

    def __init__(
        self,
        samples: SampleTable,
        rows: np.ndarray,
        read: Reader,
        resize: Resize,
        augment: Augment | None = None,
        shuffle: BlockShuffle | None = None,
    ) -> None:
        self.targets, self.rows = samples.targets, rows
        self.read, self.resize, self.augment, self.shuffle = read, resize, augment, shuffle

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, torch.Tensor]:
        """One sample: image (C, H, W) or (C, D, H, W), target, and index, its row in the sample table."""
        position, epoch = key if isinstance(key, tuple) else (key, 0)
        row = int(self.rows[position])
        image = self.resize(self.read(row))
        if self.augment is not None:
            image = self.augment(image, epoch, row)
        if self.shuffle is not None:
            image = self.shuffle(image)
        image = image[None] if image.ndim == len(self.resize.size) else np.moveaxis(image, -1, 0)
        return {
            "image": torch.from_numpy(np.require(image, requirements=["C", "W"])),
            "target": torch.as_tensor(self.targets[row]),
            "index": torch.tensor(row),
        }
