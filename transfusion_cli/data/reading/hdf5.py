"""Images and labels in HDF5 files."""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.reading.limits import MAX_BYTES
from transfusion_cli.data.reading.readers import require_readable
from transfusion_cli.errors import UserError

_IN_MEMORY = 1 << 26
"""Bytes that a gzipped file may unpack to in memory: 64 million labels, or 2,400 patches."""


def open_array(path: Path, name: str) -> Any:
    """Open one array of numbers in an HDF5 file without reading it; a gzipped file is unpacked in memory.

    Returns:
        An ``h5py.Dataset``; its file closes with it.

    Raises:
        UserError: damaged file, no such array, or one that lies in other files.
    """
    import h5py

    try:
        # Nobody writes, and network file systems that are mounted read-only refuse locks.
        file = h5py.File(_unpacked(path), "r") if path.suffix == ".gz" else h5py.File(path, "r", locking=False)
        link = file.get(name, default=h5py.HardLink(), getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise OSError(f"{name!r} is a link")
        array = file[name]
        if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "biuf":
            raise OSError(f"{name!r} is no array of numbers")
        if array.external or array.is_virtual:  # it would give what stands in any file of this machine
            raise OSError(f"{name!r} has its values in other files")
        if array.chunks and math.prod(array.chunks) * array.dtype.itemsize > MAX_BYTES:
            raise OSError(f"the pieces of {name!r} have {array.chunks} values: to read one would fill the memory")
    except KeyError:
        raise UserError(f"No array {name!r} in {path}\nIt is not the file expected here.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"Cannot read {path}\n{error}\nRemove the file and get it again.") from error
    return array


def _unpacked(path: Path) -> io.BytesIO:
    with gzip.open(path) as file:
        content = file.read(_IN_MEMORY + 1)
    if len(content) > _IN_MEMORY:
        raise OSError(f"it unpacks to more than {_IN_MEMORY:,} bytes")
    return io.BytesIO(content)


class HDF5Reader:
    """Takes images from an array in an HDF5 file, which every process opens for itself.

    Args:
        path: the file, not gzipped.
        name: array in it, (n, H, W) or (n, H, W, 3), uint8.
        first_row: row of the sample table that the first image belongs to.
    """

    def __init__(self, path: Path, name: str, first_row: int) -> None:
        self.path, self.name, self.first_row = path, name, first_row
        self._opened: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file, which neither pickles nor may be shared."""
        return self.__dict__ | {"_opened": None}

    def __call__(self, row: int) -> np.ndarray:
        """Take the image of one row."""
        opened, process = self._opened, os.getpid()
        if opened is None or opened[0] != process:
            # After a fork: let go of the parent's file first, or HDF5 hands out the same one again.
            opened = self._opened = None
            opened = self._opened = (process, open_array(self.path, self.name))
        try:
            return np.asarray(opened[1][row - self.first_row])
        except OSError as error:
            raise UserError(
                f"Cannot read image {row - self.first_row} of {self.path}\n{error}\nRemove the file and get it again."
            ) from error

    def describe(self) -> str:
        """What it reads of the file, for the key of a cache."""
        return self.name

    def verify(self, rows: np.ndarray) -> None:
        """Read every image, one at a time, as ``require_readable`` does."""
        require_readable(self, rows, threads=1)
