"""What the training cases say of how volumes are to be prepared, by nnU-Net's rules (Isensee et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from transfusion_cli.data.masks.case import voxels_of
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.geometry import COARSE, Crop, crop_box
from transfusion_cli.data.volumes.intensity import Intensity

PERCENTILES = (0.5, 99.5)
"""Of the voxels of all classes, beyond which CT is clipped."""

DRAWN = 10_000
"""Voxels of each case and channel that stand for all of its classes."""

MULTIPLE = 16
"""Sides that networks halve four times without a rest."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Facts of N training cases with C channels.

    Args:
        spacings: millimetres (N, 3).
        shapes: of what is kept of the images (N, 3).
        foreground: float32 (C, n), values of voxels of classes, as many of each case.
        moved: masks that lay elsewhere than their images and were taken for theirs.
    """

    spacings: np.ndarray
    shapes: np.ndarray
    foreground: np.ndarray
    moved: int

    @classmethod
    def of(cls, files: CaseFiles, rows: np.ndarray, crop: Crop | None) -> Fingerprint:
        """Read the cases, one at a time; of each, few numbers are kept.

        Raises:
            UserError: a case cannot be read.
        """
        spacings, shapes, foreground, moved = [], [], [], 0
        for row in tqdm(rows.tolist(), "looking at the training cases", leave=False, delay=2, disable=None):
            image = files.image(row)
            mask, was_moved = files.mask(row, image)
            box = crop_box(image.array, crop)
            moved += was_moved
            spacings.append(image.spacing)
            shapes.append(box[:, 1] - box[:, 0])
            foreground.append(_foreground(image.array, mask))
        return cls(np.array(spacings), np.array(shapes), np.concatenate(foreground, axis=1), moved)

    @property
    def spacing(self) -> tuple[float, ...]:
        """The median of each axis; of one that is much coarser than the others, the 10th percentile, if not finer."""
        target, shape = np.median(self.spacings, axis=0), np.median(self.shapes, axis=0)
        axis = int(target.argmax())
        others = np.delete(target, axis)
        if target[axis] > COARSE * others.max() and shape[axis] * COARSE < np.delete(shape, axis).min():
            target[axis] = max(np.percentile(self.spacings[:, axis], 10), others.max())
        return tuple(float(round(step, 6)) for step in target)

    def intensity(self, channel: int) -> Intensity:
        """Of a channel whose numbers mean the same in every image."""
        values = self.foreground[channel].astype(np.float64)
        if not len(values):  # no case has a class: as for soft tissue
            return Intensity.window(-1000, 1000)
        low, high = np.percentile(values, PERCENTILES)
        return Intensity.standard(float(low), float(high), float(values.mean()), float(max(values.std(), 1e-3)))

    def patch_size(self, spacing: Sequence[float] | None, voxels: int) -> tuple[int, ...]:
        """Sides of a patch in the network's grid, as long in millimetres as wide, as far as the median case goes.

        Args:
            spacing: of the network's grid; None for each case's own.
            voxels: that the patch may have.
        """
        own = np.median(self.spacings, axis=0)
        target = own if spacing is None else np.array(spacing)
        grid = self.shapes if spacing is None else self.shapes * self.spacings / target
        most = np.maximum(np.rint(np.median(grid, axis=0)), 1).astype(int)
        sides = np.minimum(MULTIPLE, most)
        while True:  # the shortest side grows, of those that can
            for axis in np.argsort(sides * target, kind="stable"):
                larger = sides + MULTIPLE * (np.arange(3) == axis)
                if larger[axis] <= most[axis] and larger.prod() <= voxels:
                    sides = larger
                    break
            else:
                return tuple(int(side) for side in sides)


def _foreground(array: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Values (C, n) of voxels of classes, in equal parts of those that are kept of each class."""
    kept = [] if mask is None else list(voxels_of(mask).values())
    voxels = np.concatenate([np.zeros((0, 3), np.int64), *kept])
    if len(voxels) > DRAWN:
        voxels = voxels[np.linspace(0, len(voxels) - 1, DRAWN).round().astype(np.int64)]
    return np.asarray(array[(slice(None), *voxels.T)], dtype=np.float32)
