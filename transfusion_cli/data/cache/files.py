"""Files of a cache of decoded images: their layout, and how they are read and written, suspecting what is there.

The folder of a cache holds ``images.npy`` (8 bits), ``deep.npy`` (16 bits, for sources deeper than 8) and
``records.npy``: a record for each image and, after those, one for each file that holds many images. For people it also
holds ``ids.npy`` and ``index.json``, with what the images are and what they were made from. Rows that are not in an
array take no space in it on file systems that know holes in files.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.files import whole_file

ABSENT, SHALLOW, DEEP, SOURCE = range(4)
"""States of a record: an image that is not there, in ``images.npy``, in ``deep.npy``; a file that holds many."""

ARRAYS: dict[int, tuple[str, type]] = {SHALLOW: ("images.npy", np.uint8), DEEP: ("deep.npy", np.uint16)}
"""File and type of the images in a state."""

RECORDS = "records.npy"

RECORD = np.dtype([("state", "u1"), ("pixels", "<u4"), ("size", "<i8"), ("time", "<i8"), ("content", "<u4")])
"""State of an image and CRC-32 of its pixels; size, time of change in ns, and CRC-32 of the file it was made from,
the size being -1 where no file is known."""


def load_array(path: Path, shape: tuple[int, ...], dtype: np.dtype | type | None = None) -> np.memmap:
    """Map one file of a cache.

    Args:
        path: the ``.npy`` file.
        shape: what it must hold.
        dtype: its type, if that is known.

    Raises:
        UserError: it is missing, truncated, or holds something else.
    """
    try:
        if not path.is_file():
            raise ValueError("no such file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap) or array.shape != shape or (dtype is not None and array.dtype != dtype):
            raise ValueError("not of the shape and type expected here")
        if path.stat().st_size != array.offset + array.nbytes:
            raise ValueError("of another length than its header says")
    except Exception as error:  # a damaged header can break its parser anywhere
        raise damaged(path.parent, f"{path.name}: {error or type(error).__name__}") from error
    return array


def damaged(folder: Path, reason: str) -> UserError:
    """The error for a cache of which nothing can be used."""
    return UserError(
        f"The cache {folder} is damaged\n{' '.join(reason.split())[:200]}\n"
        "Delete that folder and run transfusion data prepare again."
    )


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one file of a cache, whole or not at all."""
    with whole_file(path) as file:
        np.save(file, array, allow_pickle=False)


def start_array(file: BinaryIO, shape: tuple[int, ...], dtype: type) -> int:
    """Give an empty file the header and the length of an array; it has no size on the disk until it is written to.

    Returns:
        Where the array begins.
    """
    np.lib.format.write_array_header_1_0(file, {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape})
    start = file.tell()
    file.truncate(start + math.prod(shape) * np.dtype(dtype).itemsize)
    return start
