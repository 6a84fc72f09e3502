"""One image or volume with its mask, as it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfusion_cli.targets import IGNORE as IGNORE

MOST_VOXELS = 10_000
"""So many voxels of each class are kept to draw from."""

KEPT_BYTES = 2**28
"""Memory for cases that are kept as they were read, in each process that loads."""


@dataclass(frozen=True, eq=False)
class Case:
    """An image or volume. C channels; S the axes (H, W) or (D, H, W) of the network's grid, S0 those of its own grid.

    Args:
        image: (C, *S), uint8, or int16 or float32 where the data prepared its values.
        mask: uint8 (*S), 0 for background, 1 to K for classes, ``IGNORE``; None where there is none.
        truth: the mask as it was drawn, uint8 (*S0); full of ``IGNORE`` where there is none.
        box: int64 (dims, 2), begin and end, in its own grid, of what the network's grid covers.
        spacing: millimetres from voxel to voxel of its own grid (dims,); ones where that is not known.
        moved: whether the mask lay elsewhere by its header and was taken to lie where the image does.
    """

    image: np.ndarray
    mask: np.ndarray | None
    truth: np.ndarray
    box: np.ndarray
    spacing: np.ndarray
    moved: bool = False

    @classmethod
    def plain(cls, image: np.ndarray, mask: np.ndarray | None, truth: np.ndarray | None = None) -> Case:
        """A case whose own grid is the network's.

        Args:
            image: (C, *S).
            mask: uint8 (*S), or None.
            truth: where that is something else than the mask, uint8 (*S).
        """
        shape = image.shape[1:]
        if truth is None:
            truth = np.full(shape, IGNORE, np.uint8) if mask is None else mask
        box = np.column_stack([np.zeros(len(shape), np.int64), np.array(shape)])
        return cls(image, mask, truth, box, np.ones(len(shape)))

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        arrays = {id(array): array for array in (self.image, self.mask, self.truth) if array is not None}
        return sum(array.nbytes for array in arrays.values())


class CaseReader(ABC):
    """Reads cases by row of the sample table; must pickle, since workers read.

    A reader that can get at a part of a case without the whole overrides ``patch``, ``shape`` and ``foreground`` too.
    """

    background: float = 0.0
    """What an image is surrounded by."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Case] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": OrderedDict()}

    @abstractmethod
    def read(self, row: int) -> Case:
        """Read a case from its files.

        Raises:
            UserError: a file cannot be read, or image and mask do not belong together; names them.
        """

    @abstractmethod
    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask in the geometry and the format of the case's own image.

        Args:
            row: the case.
            labels: uint8 (*S0).
            folder: where to.

        Returns:
            The file.
        """

    def whole(self, row: int) -> Case:
        """A case, from memory where it was read not long ago."""
        if row not in self._kept:
            self._kept[row] = self.read(row)
            while len(self._kept) > 1 and sum(case.nbytes for case in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]

    def shape(self, row: int) -> tuple[int, ...]:
        """S of a case."""
        return self.whole(row).image.shape[1:]

    def patch(self, row: int, start: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """A part of a case, which may reach over its border.

        Args:
            row: the case.
            start: first voxel (dims,), negative before the border.
            size: of the part (dims,).

        Returns:
            Image (C, *size) with ``background`` around it, and mask uint8 (*size) with ``IGNORE`` around it.
        """
        case = self.whole(row)
        assert case.mask is not None
        return cut(case.image, start, size, self.background), cut(case.mask[None], start, size, IGNORE)[0]

    def foreground(self, row: int) -> dict[int, np.ndarray]:
        """Voxels of each class that a case has: int (n, dims), at most ``MOST_VOXELS`` of each."""
        mask = self.whole(row).mask
        assert mask is not None
        return voxels_of(mask)


def voxels_of(mask: np.ndarray) -> dict[int, np.ndarray]:
    """Voxels of each class of a mask: int (n, dims), ``MOST_VOXELS`` evenly out of more."""
    found = {}
    for label in np.unique(mask):
        if 0 < label < IGNORE:
            flat = np.flatnonzero(mask == label)
            if len(flat) > MOST_VOXELS:
                flat = flat[np.linspace(0, len(flat) - 1, MOST_VOXELS).round().astype(np.int64)]
            found[int(label)] = np.stack(np.unravel_index(flat, mask.shape), axis=1)
    return found


def cut(array: np.ndarray, start: tuple[int, ...], size: tuple[int, ...], outside: float) -> np.ndarray:
    """A part of an array (C, *S) that may reach over its border, which is then surrounded by ``outside``."""
    shape = array.shape[1:]
    inner = tuple(
        slice(max(0, first), max(0, min(side, first + length)))
        for first, length, side in zip(start, size, shape, strict=True)
    )
    part = array[(slice(None), *inner)]
    if part.shape[1:] == tuple(size):
        return np.ascontiguousarray(part)
    whole = np.full((len(array), *size), outside, dtype=array.dtype)
    place = tuple(
        slice(max(0, -first), max(0, -first) + length) for first, length in zip(start, part.shape[1:], strict=True)
    )
    whole[(slice(None), *place)] = part
    return whole
