"""Arrays of an .npz file, mapped from disk where they are stored without compression."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from transfusion_cli.errors import UserError


def read_npz(path: Path, name: str) -> np.ndarray:
    """Read one array. Pickled objects are refused.

    Raises:
        UserError: Truncated file, no such array, or pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as member:
                if entry.compress_type != zipfile.ZIP_STORED:
                    return np.ascontiguousarray(npy.read_array(member, allow_pickle=False))
                version = npy.read_magic(member)
                read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, is_fortran, dtype = read_header(member)
                start = _data_offset(path, entry) + member.tell()
        if dtype.hasobject:
            raise ValueError("it holds pickled objects")
        return np.memmap(path, dtype, "r", start, shape, "F" if is_fortran else "C")
    except KeyError:
        raise UserError(f"no array {name!r} in {path}\nIt is not the file expected here.") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, struct.error) as error:
        raise UserError(f"cannot read {name!r} of {path}\n{error}\nRemove the file and get it again.") from error


def _data_offset(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored entry begin: after its local header, whose two texts vary in length."""
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    return entry.header_offset + 30 + name_length + extra_length
