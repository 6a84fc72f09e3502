"""From one grid to another."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch.nn.functional import interpolate

Crop = Literal["nonzero"]
"""What is kept of an image: the box around all that is not zero, as behind a skull that was stripped."""

COARSE = 3.0
"""An axis whose spacing is so many times the others' is coarse: no value between its slices is made up."""


def crop_box(array: np.ndarray, crop: Crop | None) -> np.ndarray:
    """The box of an image that is kept: int64 (3, 2), begin and end.

    Args:
        array: (C, D, H, W).
        crop: None keeps all, as does an image that is zero everywhere.
    """
    box = np.column_stack([np.zeros(3, np.int64), array.shape[1:]])
    if crop is None:
        return box
    # Slice by slice: a mask of the whole takes as much memory as an image of 8 bits.
    planes = np.array([(array[:, z] != 0).any(axis=0).any() for z in range(array.shape[1])])
    if not planes.any():
        return box
    face = np.zeros(array.shape[2:], bool)
    for z in np.flatnonzero(planes):
        face |= (array[:, z] != 0).any(axis=0)
    for axis, kept in enumerate((planes, face.any(axis=1), face.any(axis=0))):
        places = np.flatnonzero(kept)
        box[axis] = places[0], places[-1] + 1
    return box


def resampled_shape(shape: tuple[int, ...], spacing: np.ndarray, target: np.ndarray) -> tuple[int, ...]:
    """Sides of the grid with another spacing that covers the same box, of one voxel at least."""
    sides = np.rint(np.array(shape) * spacing / target).astype(int)
    return tuple(int(side) for side in np.maximum(sides, 1))


def coarse_axis(spacing: np.ndarray, target: np.ndarray) -> int | None:
    """The axis along which volumes are not interpolated, as nnU-Net finds it: of the one grid or else of the other."""
    for grid in (spacing, target):
        if grid.max() > COARSE * grid.min():
            coarse = np.flatnonzero(np.isclose(grid, grid.max()))
            return int(coarse[0]) if len(coarse) == 1 else None
    return None


def resample(array: np.ndarray, shape: tuple[int, ...], coarse: int | None) -> np.ndarray:
    """Sample an image trilinearly on a grid that covers the same box: the outer faces of the voxels meet.

    Args:
        array: float32 (D, H, W).
        shape: of the new grid.
        coarse: axis along which the nearest voxel is taken.
    """
    if array.shape == tuple(shape):
        return array
    if coarse is None:
        image = torch.from_numpy(np.ascontiguousarray(array))[None, None]
        return np.asarray(interpolate(image, shape, mode="trilinear", align_corners=False)[0, 0].numpy())
    slices = np.moveaxis(array, coarse, 0)
    nearest = _nearest(len(slices), shape[coarse])
    plane = tuple(side for axis, side in enumerate(shape) if axis != coarse)
    image = torch.from_numpy(np.ascontiguousarray(slices))[None]
    made = interpolate(image, plane, mode="bilinear", align_corners=False)[0].numpy()
    return np.moveaxis(made[nearest], 0, coarse)


def resample_labels(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Take the nearest voxels of a mask (D, H, W) on a grid that covers the same box."""
    return np.asarray(mask[np.ix_(*(_nearest(there, here) for there, here in zip(mask.shape, shape, strict=True)))])


def _nearest(there: int, here: int) -> np.ndarray:
    """Of a row of ``there`` voxels, the one in which the centre of each of ``here`` lies."""
    return np.minimum(((np.arange(here) + 0.5) * there / here).astype(np.int64), there - 1)
