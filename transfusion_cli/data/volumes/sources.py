"""The files that a prepared case was made from, and whether they are still the same."""

from __future__ import annotations

import zlib
from pathlib import Path

Facts = dict[str, list[int]]
"""Size, time of change in ns, and CRC-32 of each file."""


def facts_of(paths: list[Path]) -> Facts:
    """Look at files, and at those in folders of DICOM slices.

    Raises:
        OSError: one cannot be read.
    """
    return {name: [*_size_and_time(path), _content(path)] for name, path in _files(paths).items()}


def replaced(paths: list[Path], known: Facts) -> str | None:
    """Name a file that is no longer the one of then; None where all are.

    As for images, what has the size and the time of then is taken for the same, what is not there any more is no
    matter, and of files with the same size and another time, as of a copied folder, the contents decide.

    Args:
        paths: as for ``facts_of``.
        known: what that said then.
    """
    for name, path in _files(paths).items():
        if not path.exists():
            continue
        size, time, content = known.get(name, (-1, 0, 0))
        now = _size_and_time(path)
        if now[0] != size or (now[1] != time and _content(path) != content):
            return path.name
    return None


def _files(paths: list[Path]) -> dict[str, Path]:
    """Files by a name of their own: an image and its mask may have the same one."""
    found = {}
    for place, path in enumerate(paths):
        for file in sorted(path.iterdir()) if path.is_dir() else [path, *_data(path)]:
            found[f"{place}/{file.name}"] = file
    return found


def _data(path: Path) -> list[Path]:
    """The voxels of a header: a file of the same name beside it."""
    if path.suffix.lower() not in (".mhd", ".nhdr", ".hdr"):
        return []
    data = (path.with_suffix(ending) for ending in (".raw", ".zraw", ".raw.gz", ".img"))
    return [file for file in data if file.exists()]


def _size_and_time(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _content(path: Path) -> int:
    code = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            code = zlib.crc32(part, code)
    return code
