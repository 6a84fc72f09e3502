"""Which way the axes of a volume run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORLD = (2, 1, 0)
"""Axis of the world, of right, front and top, that each axis (z, y, x) runs along."""

SENSE = (1, -1, -1)
"""Whether up or down it: z to the top, y to the back, x to the patient's left, as DICOM shows slices."""


@dataclass(frozen=True)
class Orientation:
    """How the axes (i, j, k) of a file become (z, y, x): by exchange and reversal alone, never by interpolation.

    Args:
        axes: axis of the file that each of z, y and x is.
        reverse: whether each of z, y and x runs against it.
    """

    axes: tuple[int, ...]
    reverse: tuple[bool, ...]

    @classmethod
    def of(cls, affine: np.ndarray) -> Orientation:
        """The nearest to the axes of the body, which an oblique volume keeps its angle to.

        Args:
            affine: (4, 4) from (i, j, k) to millimetres to the patient's right, front and top.

        Raises:
            ValueError: an axis leads nowhere.
        """
        from nibabel.orientations import io_orientation

        found = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
        if not np.isfinite(found).all():
            raise ValueError("its header gives an axis no length or no direction")
        axes = tuple(int(np.flatnonzero(found[:, 0] == world)[0]) for world in WORLD)
        return cls(axes, tuple(bool(found[axis, 1] != sense) for axis, sense in zip(axes, SENSE, strict=True)))

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A view (..., D, H, W) of an array (..., I, J, K)."""
        lead = array.ndim - 3
        return self._reversed(array.transpose(*range(lead), *(lead + axis for axis in self.axes)))

    def undo(self, array: np.ndarray) -> np.ndarray:
        """A view (..., I, J, K) of an array (..., D, H, W)."""
        lead = array.ndim - 3
        return self._reversed(array).transpose(*range(lead), *(lead + int(axis) for axis in np.argsort(self.axes)))

    def affine(self, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The affine (4, 4) of (z, y, x).

        Args:
            affine: of (i, j, k).
            shape: (D, H, W).
        """
        return np.asarray(affine @ self._to_file(shape))

    def file_affine(self, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The affine (4, 4) of (i, j, k), of that of (z, y, x)."""
        return np.asarray(affine @ np.linalg.inv(self._to_file(shape)))

    def _to_file(self, shape: tuple[int, ...]) -> np.ndarray:
        """From (z, y, x) to (i, j, k), (4, 4)."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for here, (there, reverse) in enumerate(zip(self.axes, self.reverse, strict=True)):
            matrix[there, here] = -1 if reverse else 1
            matrix[there, 3] = shape[here] - 1 if reverse else 0
        return matrix

    def _reversed(self, array: np.ndarray) -> np.ndarray:
        return np.flip(array, tuple(axis - 3 for axis, reverse in enumerate(self.reverse) if reverse))
