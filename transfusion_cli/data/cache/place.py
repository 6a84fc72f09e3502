"""Which cache of decoded images belongs to some data.

A folder of caches holds one folder for each set of images and each size, called ``<key>``; see ``files``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.cache.contents import Contents
from transfusion_cli.data.cache.sources import Sources
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.reading.images import DECODER_VERSION
from transfusion_cli.data.reading.readers import FileReader

FORMAT = 2
"""Raised whenever the files of a cache change: 2 added checksums, and every source file in place of some."""


@dataclass(frozen=True)
class CachePlace:
    """Where some images at one size lie.

    Args:
        folder: the folder of caches.
        key: hash of all that decides the pixels but the files' contents, with the size in front.
        size: height and width, or depth, height and width.
        channels: 1 or 3.
        sources: where the images come from.
    """

    folder: Path
    key: str
    size: tuple[int, ...]
    channels: int
    sources: Sources

    @classmethod
    def of(cls, contents: Contents, folder: Path, size: tuple[int, ...]) -> CachePlace:
        """Find the place. Which part of the samples a run uses makes no difference, nor where their files are."""
        table, rows = contents.samples, contents.rows
        sources = Sources(contents, size)
        makers = sorted({describe(reader) for reader in sources.readers.values()})
        held = [path.name for path in sources.held]
        facts = [FORMAT, DECODER_VERSION, size, contents.resize, contents.channels, len(rows), *makers, *held]
        digest = hashlib.sha256(repr(facts).encode())
        for names in (table.ids, table.ids if table.paths is None else table.paths):
            for start in range(0, len(rows), 1 << 16):  # in parts, since a million texts are a quarter of a GB
                digest.update("\n".join(names[rows[start : start + (1 << 16)]].tolist()).encode())
        return cls(folder, f"{'x'.join(map(str, size))}-{digest.hexdigest()[:16]}", size, contents.channels, sources)

    @property
    def rows(self) -> np.ndarray:
        """Rows of the sample table that belong to the cache, in order (n,)."""
        return self.sources.rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its images: (n, H, W) or (n, H, W, 3), of volumes (n, D, H, W)."""
        return (len(self.rows), *self.size, *((3,) if self.channels == 3 else ()))

    @property
    def path(self) -> Path:
        """The folder of these images, there only when whole."""
        return self.folder / self.key

    def beside(self, suffix: str) -> Path:
        """A file or folder next to it."""
        return self.folder / f"{self.key}.{suffix}"


def describe(reader: Reader) -> str:
    """All that decides what a reader makes of its sources; of arrays their shape and a few of their images."""
    if isinstance(reader, FileReader):
        return repr(("FileReader", reader.channels, reader.window, reader.process))
    if callable(own := getattr(reader, "describe", None)):
        files = sorted(value.name for value in _attributes(reader).values() if isinstance(value, Path))
        return repr((type(reader).__name__, own(), files))
    return repr((type(reader).__name__, [(name, _plain(value)) for name, value in sorted(_attributes(reader).items())]))


def _attributes(reader: Reader) -> dict[str, Any]:
    return getattr(reader, "__dict__", {})


def _plain(value: object) -> object:
    match value:
        case bool() | int() | float() | str() | tuple() | None:
            return value
        case Path():
            return value.name  # a moved folder keeps its cache
        case np.ndarray() if value.ndim and not value.dtype.hasobject:
            some = np.ascontiguousarray(value[:: max(1, len(value) // 8)])
            return value.shape, str(value.dtype), hashlib.sha256(some.tobytes()).hexdigest()
        case _:
            return type(value).__name__
