"""Which cache of decoded images belongs to a data module: its name, its layout, and the files it was made from.

A cache folder holds one folder for each set of images and each size, called ``<key>``: ``images.npy`` (8 bits),
``deep.npy`` (16 bits, for sources deeper than 8), ``state.npy`` (which rows are there, and in which of the two),
``ids.npy``, and ``index.json`` with what it was made from. Rows that are not in an array take no space in it on file
systems that know holes in files.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.images import DECODER_VERSION
from transfusion_cli.data.readers import FileReader
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.data.base import MedicalDataModule
    from transfusion_cli.data.dataset import Reader
    from transfusion_cli.data.samples import Split

WITNESSES = 256
"""Source files whose size and time of change are remembered."""

ABSENT, SHALLOW, DEEP = 0, 1, 2
"""States of a row: not there, in ``images.npy``, in ``deep.npy``."""

ARRAYS: dict[int, tuple[str, type]] = {SHALLOW: ("images.npy", np.uint8), DEEP: ("deep.npy", np.uint16)}
"""File and type of the images in a state."""


@dataclass(frozen=True)
class CachePlace:
    """Where the images of a data module at one size lie.

    Args:
        folder: The folder of caches.
        key: Hash of all that decides the pixels but the files' contents, with the size in front.
        size: Height and width.
        rows: Rows of the sample table that belong to the cache, in order (n,).
    """

    folder: Path
    key: str
    size: tuple[int, int]
    rows: np.ndarray

    @classmethod
    def of(cls, data: MedicalDataModule, folder: Path, size: tuple[int, int]) -> CachePlace:
        """Find the place. Which part of the samples a run uses makes no difference, nor where their files are."""
        data = at_size(data, size)
        table, rows = data.samples, data.all_rows
        makers = sorted({describe(reader) for reader in readers(data).values()})
        facts = [DECODER_VERSION, size, data.resize, data.in_chans, len(rows), *makers]
        digest = hashlib.sha256(repr(facts).encode())
        for names in (table.ids, table.ids if table.paths is None else table.paths):
            for start in range(0, len(rows), 1 << 16):  # in parts, since a million texts are a quarter of a GB
                digest.update("\n".join(names[rows[start : start + (1 << 16)]].tolist()).encode())
        return cls(folder, f"{size[0]}x{size[1]}-{digest.hexdigest()[:16]}", size, rows)

    @property
    def path(self) -> Path:
        """The folder of these images, there only when whole."""
        return self.folder / self.key

    def beside(self, suffix: str) -> Path:
        """A file or folder next to it."""
        return self.folder / f"{self.key}.{suffix}"

    def check_sources(self, data: MedicalDataModule, path: Path) -> None:
        """Fail if files were replaced since they were decoded.

        Raises:
            UserError: Names one of them.
        """
        then, now = read_index(path)["witnesses"], witnesses(at_size(data, self.size), self.rows)
        for name, facts in now.items():
            if then.get(name, facts) != facts:
                raise UserError(
                    f"{name} is not the file that the cache was made from (its size or time differs)\n"
                    f"in {path}\nDelete that folder and run transfusion data prepare again, or give it another "
                    "--data.cache."
                )


def at_size(data: MedicalDataModule, size: tuple[int, int]) -> MedicalDataModule:
    """The same data module with images of another size; the table of samples is shared."""
    _ = data.samples
    other = copy.copy(data)
    other.image_size = size
    return other


def readers(data: MedicalDataModule) -> dict[Split, Reader]:
    """The reader of each split that has images."""
    splits: tuple[Split, ...] = ("train", "val", "test", "predict")
    return {split: data.make_reader(split) for split in splits if len(data.samples.rows(split))}


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


def witnesses(data: MedicalDataModule, rows: np.ndarray) -> dict[str, list[int]]:
    """Size and time of change of files spread over the table, or of those that hold all images, where they exist."""
    files: dict[str, Path] = {}
    for reader in readers(data).values():
        if isinstance(reader, FileReader):
            some = rows[np.linspace(0, len(rows) - 1, min(WITNESSES, len(rows))).astype(int)]
            files |= {str(name): reader.root / str(name) for name in reader.paths[some]}
        else:
            held = (value for value in _attributes(reader).values() if isinstance(value, Path | np.memmap))
            paths = (Path(str(value.filename)) if isinstance(value, np.memmap) else value for value in held)
            files |= {path.name: path for path in paths}
    found = {name: path.stat() for name, path in files.items() if path.is_file()}
    return {name: [facts.st_size, facts.st_mtime_ns] for name, facts in found.items()}


def read_index(path: Path) -> dict[str, Any]:
    """What a cache was made from.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return dict(json.loads((path / "index.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read the cache {path}\n{error}\nDelete that folder and prepare the data again."
        ) from error
