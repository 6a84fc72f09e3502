"""A volume with its place in the patient."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from transfusion_cli.data.volumes.orientation import Orientation

SAME_SPACING = 1e-3
"""Spacings that differ by less than this share of them are the same."""

SAME_PLACE = 0.5
"""Volumes none of whose corners lie farther apart, in voxels, are at the same place: the nearest voxel is the same."""


@dataclass(frozen=True, eq=False)
class Volume:
    """An array whose axes z, y and x run to the patient's top, back and left, as nearly as exchanging axes can do it.

    Args:
        array: (C, D, H, W), maybe mapped from a file.
        affine: (4, 4) from (z, y, x) to millimetres to the patient's right, front and top.
        orientation: how the file's axes became these.
    """

    array: np.ndarray
    affine: np.ndarray
    orientation: Orientation

    @classmethod
    def of(cls, array: np.ndarray, affine: np.ndarray) -> Volume:
        """A volume as a file has it.

        Args:
            array: (C, I, J, K).
            affine: (4, 4) of (i, j, k).

        Raises:
            ValueError: the affine is none.
        """
        orientation = Orientation.of(affine)
        turned = orientation.apply(array)
        return cls(turned, orientation.affine(affine, turned.shape[1:]), orientation)

    @property
    def shape(self) -> tuple[int, ...]:
        """(D, H, W)."""
        return self.array.shape[1:]

    @property
    def spacing(self) -> np.ndarray:
        """Millimetres from voxel to voxel along z, y and x (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def at_place_of(self, other: Volume) -> Volume | None:
        """This volume with the geometry of another, voxel by voxel as the files have them; None if that cannot be."""
        array = other.orientation.apply(self.orientation.undo(self.array))
        if array.shape[1:] != other.shape:
            return None
        return replace(self, array=array, affine=other.affine, orientation=other.orientation)

    def differs_from(self, other: Volume) -> str:
        """In what the geometry differs from another's, in words; empty where it does not."""
        if self.shape != other.shape:
            return f"{_times(self.shape)} voxels and {_times(other.shape)}"
        if not np.allclose(self.spacing, other.spacing, rtol=SAME_SPACING):
            return f"spacing {_times(self.spacing.round(4))} mm and {_times(other.spacing.round(4))} mm"
        corners = np.array([[*corner, 1] for corner in itertools.product(*((0, side - 1) for side in self.shape))])
        apart = np.linalg.norm(((self.affine - other.affine) @ corners.T)[:3], axis=0).max()
        if apart > SAME_PLACE * self.spacing.min():
            return f"places or orientations that are up to {apart:.1f} mm apart"
        return ""


def _times(numbers: np.ndarray | tuple[int, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
