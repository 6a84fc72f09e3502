"""Cubes cut out of scans around points of the world, whatever way a scan lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np

from transfusion_cli.data.reading.readers import require_readable
from transfusion_cli.data.volumes.files import read_volume

AIR = -1000.0
"""Hounsfield units of what lies beyond a scan."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a scan lie: ``world = origin + matrix @ index``, in the order x, y, z.

    Args:
        origin: of the first voxel, mm (3,).
        matrix: a column for the step along each axis, mm (3, 3): directions times spacing.
        shape: voxels in z, y, x.
    """

    origin: np.ndarray
    matrix: np.ndarray
    shape: tuple[int, ...]

    def index(self, world: np.ndarray) -> np.ndarray:
        """Voxels of points, as fractions: x, y, z.

        Args:
            world: mm (..., 3).
        """
        return np.asarray((world - self.origin) @ np.linalg.inv(self.matrix).T)


class Scan(Protocol):
    """A scan of which parts can be read."""

    grid: Grid

    def block(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Hounsfield units of the voxels from ``start`` to before ``stop``, both in z, y, x."""


class VolumeFile:
    """A scan in one file, which is mapped into memory where it is not compressed.

    Args:
        path: MetaImage, NRRD or NIfTI.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        volume = read_volume(path)
        self.voxels = volume.array[0]
        # From z, y, x to right, front and top, there; from x, y, z to left, back and top, here.
        turned = np.array([-1.0, -1.0, 1.0])[:, None] * volume.affine[:3]
        self.grid = Grid(turned[:, 3], turned[:, 2::-1], volume.shape)

    def block(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Voxels from ``start`` to before ``stop``, in z, y, x."""
        return np.asarray(self.voxels[tuple(slice(*ends) for ends in zip(start, stop, strict=True))])


def cube_of(scan: Scan, centre: np.ndarray, side: int, voxel: float) -> np.ndarray:
    """Voxels around a point, along the axes of the world, by linear interpolation; beyond the scan is air.

    Args:
        scan: where from.
        centre: x, y, z in mm.
        side: voxels of the cube.
        voxel: their side in mm.

    Returns:
        float32 (side, side, side), Hounsfield units in the order z, y, x.
    """
    from scipy.ndimage import affine_transform

    first = scan.grid.index(centre - voxel * (side - 1) / 2)[::-1]
    steps = (np.linalg.inv(scan.grid.matrix) * voxel)[::-1, ::-1]  # both axes of it in z, y, x
    corners = np.array([first + steps @ corner for corner in product((0, side - 1), repeat=3)])
    start = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    stop = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, scan.grid.shape)
    if (stop <= start).any():
        return np.full((side,) * 3, AIR, np.float32)
    block = scan.block(start, stop).astype(np.float32)
    return np.asarray(
        affine_transform(block, steps, first - start, (side,) * 3, order=1, mode="constant", cval=AIR), np.float32
    )


class CubeReader:
    """Reads a cube for each row of the sample table.

    Args:
        open_scan: opens what lies at a path.
        paths: of the scans.
        scans: which of them each row is of, int (N,).
        centres: x, y, z in mm (N, 3).
        side: voxels of a cube.
        voxel: their side in mm.
        window: Hounsfield units that become 0 and 255.
    """

    def __init__(
        self,
        open_scan: Callable[[Path], Scan],
        paths: Sequence[Path],
        scans: np.ndarray,
        centres: np.ndarray,
        side: int,
        voxel: float,
        window: tuple[float, float],
    ) -> None:
        self.open_scan, self.paths, self.scans, self.centres = open_scan, list(paths), scans, centres
        self.side, self.voxel, self.window = side, voxel, window
        self._open: dict[int, Scan] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": {}}

    def __call__(self, row: int) -> np.ndarray:
        """The cube of one row, uint8 (side, side, side).

        Raises:
            UserError: its scan cannot be read.
        """
        number = int(self.scans[row])
        if number not in self._open:
            self._open[number] = self.open_scan(self.paths[number])
        return windowed(cube_of(self._open[number], self.centres[row], self.side, self.voxel), self.window)

    def describe(self) -> tuple[object, ...]:
        """All that decides the cubes, but for the scans' contents."""
        names = "\n".join(path.name for path in self.paths)
        digest = hashlib.sha256(names.encode() + self.scans.tobytes() + self.centres.tobytes())
        return self.side, self.voxel, self.window, digest.hexdigest()

    def verify(self, rows: np.ndarray) -> None:
        """Read every cube, as ``require_readable`` does."""
        require_readable(self, rows)


def windowed(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Hounsfield units as uint8: 0 at and below the first of the window, 255 at and above the second."""
    low, high = window
    return np.asarray(np.rint((np.clip(values, low, high) - low) * (255 / (high - low))).astype(np.uint8))
