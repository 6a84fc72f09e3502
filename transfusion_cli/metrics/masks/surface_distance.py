"""How far the surfaces of two masks lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfusion_cli.metrics.masks.surface_elements import surface_elements

CLOSE = 1 + 1e-6
"""What a limit is multiplied by: a distance that reaches it but for rounding is within; spacings may be float32."""


class SurfaceDistance:
    """Distances between the surfaces of two masks that both hold something.

    Every element of surface counts by its size, so that a slice as thick as five pixels counts as five. Distances are
    between corners of voxels where surface runs, as DeepMind's ``surface-distance`` measures them (Nikolov et al. 2021,
    J. Med. Internet Res. 23:e26151).

    Args:
        predicted: bool (*S), two or three axes.
        truth: bool (*S).
        spacing: mm between voxels along each axis.
    """

    def __init__(self, predicted: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> None:
        from scipy.ndimage import distance_transform_edt

        box = _box(predicted | truth)
        sizes = [surface_elements(mask[box], spacing) for mask in (predicted, truth)]
        away = [distance_transform_edt(size == 0, sampling=spacing) for size in sizes]
        self.directed = [
            _sorted(far[size > 0], size[size > 0]) for size, far in zip(sizes, reversed(away), strict=True)
        ]

    def hausdorff(self, percentile: float = 95) -> float:
        """The percentile of the distances from one surface to the other, by size, the larger of both ways; mm."""
        return max(_percentile(*way, percentile / 100) for way in self.directed)

    def within(self, tolerance: float) -> float:
        """Normalised surface Dice: the share of both surfaces that lies within a tolerance (mm) of the other."""
        near = sum(sizes[distances <= tolerance * CLOSE].sum() for distances, sizes in self.directed)
        return float(near / sum(sizes.sum() for _, sizes in self.directed))


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask."""
    found = []
    for axis in range(mask.ndim):
        line = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(line[0], line[-1] + 1))
    return tuple(found)


def _sorted(distances: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(distances, kind="stable")
    return distances[order], sizes[order]


def _percentile(distances: np.ndarray, sizes: np.ndarray, share: float) -> float:
    """The smallest distance that at least that share of the surface is within."""
    up_to = np.cumsum(sizes) / sizes.sum()
    at = int(np.searchsorted(up_to, share / CLOSE))
    return float(distances[min(at, len(distances) - 1)])
