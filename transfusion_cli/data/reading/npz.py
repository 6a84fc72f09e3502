"""Arrays of an .npz file, mapped from disk where they are stored without compression."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from transfusion_cli.errors import UserError


def read_header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of one array, of which nothing is unpacked.

    Raises:
        UserError: truncated file, no such array, or pickled objects.
    """
    with _member(path, name) as (_, member):
        shape, _, dtype = _read_header(member)
        return shape, dtype


def read_npz(path: Path, name: str) -> np.ndarray:
    """Read one array, as large as ``read_header`` says. Pickled objects are refused.

    Raises:
        UserError: truncated file, no such array, or pickled objects.
    """
    with _member(path, name) as (entry, member):
        shape, is_fortran, dtype = _read_header(member)
        size, start = math.prod(shape) * dtype.itemsize, member.tell()
        if size > entry.file_size - start:
            raise ValueError(f"{size:,} bytes are promised and {entry.file_size - start:,} there")
        if entry.compress_type == zipfile.ZIP_STORED:
            return np.memmap(path, dtype, "r", _data_offset(path, entry) + start, shape, "F" if is_fortran else "C")
        member.seek(0)
        return np.ascontiguousarray(npy.read_array(member, allow_pickle=False))


@contextmanager
def _member(path: Path, name: str) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as member:
                yield entry, member
    except KeyError:
        raise UserError(f"No array {name!r} in {path}\nIt is not the file expected here.") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, struct.error, NotImplementedError) as error:
        raise UserError(f"Cannot read {name!r} of {path}\n{error}\nRemove the file and get it again.") from error


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and type."""
    read = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    return shape, is_fortran, dtype


def _data_offset(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored entry begin: after its local header, whose two texts vary in length."""
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    return int(entry.header_offset + 30 + name_length + extra_length)
