"""Patches of training cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import Dataset

from transfusion_cli.data.masks.case import CaseReader
from transfusion_cli.data.sampler import Key

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""Changes image (C, *P) and mask (*P) together; all its randomness comes from the generator. Must pickle."""


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """Patches at random places, a function of seed, epoch and position alone.

    A share of them is centred on a voxel of a class drawn from those that the case has, as nnU-Net does (Isensee et al.
    2021): where structures are small, most patches would else show none.

    Args:
        reader: reads the cases.
        rows: rows of the sample table that belong here (N,).
        size: of a patch (dims,).
        each: patches of a case in an epoch.
        seed: of the places and the augmentation.
        foreground: share of the patches that are centred on a class.
        augment: random changes; None for none.
    """

    def __init__(
        self,
        reader: CaseReader,
        rows: np.ndarray,
        size: tuple[int, ...],
        each: int,
        seed: int,
        foreground: float = 0.0,
        augment: Augment | None = None,
    ) -> None:
        self.reader, self.rows, self.size, self.each = reader, rows, tuple(size), each
        self.seed, self.foreground, self.augment = seed, foreground, augment

    def __len__(self) -> int:
        return len(self.rows) * self.each

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """One patch: image (C, *P), target uint8 (*P), and index, the row of its case in the sample table."""
        position, epoch = key
        row = int(self.rows[position // self.each])
        rng = np.random.default_rng([self.seed, epoch, position])
        image, mask = self.reader.patch(row, self._start(row, rng), self.size)
        if self.augment is not None:
            image, mask = self.augment(image, mask, rng)
        return {
            "image": torch.from_numpy(np.require(image, requirements=["C", "W"])),
            "target": torch.from_numpy(np.require(mask, requirements=["C", "W"])),
            "index": torch.tensor(row),
        }

    def _start(self, row: int, rng: np.random.Generator) -> tuple[int, ...]:
        spare = np.array(self.reader.shape(row)) - self.size
        start = np.where(spare > 0, rng.integers(0, np.maximum(spare, 0) + 1), spare // 2)
        if rng.random() < self.foreground and (classes := self.reader.foreground(row)):
            voxels = classes[int(rng.choice(sorted(classes)))]
            centre = voxels[rng.integers(len(voxels))]
            # At a border the patch ends there: what lies beyond would teach nothing.
            start = np.where(spare > 0, np.clip(centre - np.array(self.size) // 2, 0, np.maximum(spare, 0)), start)
        return tuple(int(first) for first in start)
