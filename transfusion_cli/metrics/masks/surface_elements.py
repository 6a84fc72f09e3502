"""Where the surface of a mask runs, and how much of it there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

Corner = tuple[float, ...]


def surface_elements(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """How much surface runs through each corner of the voxels: contour in mm (2-D) or area in mm^2 (3-D).

    Marching squares (or cubes: Lorensen & Cline 1987) over the 2^d voxels that meet in a corner, each in or out: the
    surface runs through the middle of the edges between voxels that differ. This is the definition of DeepMind's
    ``surface-distance`` (Nikolov et al. 2021, J. Med. Internet Res. 23:e26151), whose tables these numbers are.

    Args:
        mask: bool (*S), two or three axes; what lies beyond its border is out.
        spacing: mm between voxels along each axis.

    Returns:
        float64 (*S), each side one longer: element [i, j, k] lies at the corner before voxel [i, j, k].
    """
    padded = np.pad(mask, 1)
    corners = list(product((0, 1), repeat=mask.ndim))
    code = np.zeros([side + 1 for side in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(corners):
        part = padded[tuple(slice(at, at + side) for at, side in zip(corner, code.shape, strict=True))]
        code |= part.astype(np.uint8) << np.uint8(bit)
    return _sizes(tuple(float(step) for step in spacing))[code]


@cache
def _sizes(spacing: tuple[float, ...]) -> np.ndarray:
    """The size of what runs through a corner, by which of its 2^d voxels are in."""
    code, pieces = _pieces(len(spacing))
    sides = np.diff(pieces * np.array(spacing), axis=1)
    if len(spacing) == 2:
        size = np.linalg.norm(sides[:, 0], axis=-1)
    else:
        size = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=-1) / 2
    return np.bincount(code, size, minlength=2**2 ** len(spacing))


@cache
def _pieces(dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Segments (P, 2, 2) or triangles (P, 3, 3) in the unit square or cube, and the code (P,) that each belongs to."""
    corners = list(product((0, 1), repeat=dims))
    codes: list[int] = []
    pieces: list[Any] = []
    for code in range(2 ** len(corners)):
        inside: dict[Corner, bool] = {corner: bool(code >> bit & 1) for bit, corner in enumerate(corners)}
        if 2 * sum(inside.values()) > len(corners):  # the surface of a mask is that of what is outside of it
            inside = {corner: not value for corner, value in inside.items()}
        segments = [segment for ring in _faces(dims) for segment in _cuts(ring, inside)]
        found = segments if dims == 2 else [triangle for loop in _loops(segments) for triangle in _fan(loop)]
        codes += [code] * len(found)
        pieces += found
    return np.array(codes), np.array(pieces)


def _faces(dims: int) -> Iterator[list[Corner]]:
    """The corners of each face of the cube, around it; in 2-D the square itself."""
    around = ((0, 0), (0, 1), (1, 1), (1, 0))
    if dims == 2:
        yield list(around)
        return
    for axis, side in product(range(3), (0, 1)):
        yield [(*pair[:axis], side, *pair[axis:]) for pair in around]


def _cuts(ring: list[Corner], inside: dict[Corner, bool]) -> Iterator[list[Corner]]:
    """Segments that part inside from outside on one face; two that are in but not neighbours are cut off one by one."""
    middle = [tuple((a + b) / 2 for a, b in zip(ring[at], ring[at - 3], strict=True)) for at in range(4)]
    crossed = [at for at in range(4) if inside[ring[at]] != inside[ring[at - 3]]]
    if len(crossed) == 2:
        yield [middle[at] for at in crossed]
    elif crossed:
        yield from ([middle[at - 1], middle[at]] for at in range(4) if inside[ring[at]])


def _loops(segments: list[list[Corner]]) -> Iterator[list[Corner]]:
    """Closed lines out of segments."""
    left = list(segments)
    while left:
        loop = left.pop()
        while True:
            segment = next(each for each in left if loop[-1] in each)
            left.remove(segment)
            end = segment[segment[0] == loop[-1]]
            if end == loop[0]:
                break
            loop.append(end)
        yield loop


def _fan(loop: list[Corner]) -> np.ndarray:
    """Triangles (T, 3, 3) from one of the loop's points to all others: of all such fans one with the fewest bends."""
    fans = [
        np.array([(turned[0], turned[at], turned[at + 1]) for at in range(1, len(loop) - 1)])
        for turned in (loop[start:] + loop[:start] for start in range(len(loop)))
    ]

    def planes(fan: np.ndarray) -> int:
        sides = np.diff(fan, axis=1)
        normals = np.cross(sides[:, 0], sides[:, 1])
        return len(np.unique((normals / np.linalg.norm(normals, axis=1, keepdims=True)).round(6), axis=0))

    return min(fans, key=planes)
