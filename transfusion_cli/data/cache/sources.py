"""The files that the images of a cache are made from, and whether they are still the same."""

from __future__ import annotations

import logging
import os
import stat
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.cache.contents import Contents
from transfusion_cli.data.cache.files import RECORD, SOURCE
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import Split

log = logging.getLogger(__name__)

THREADS = 16
"""Files looked at together: on a network each answer takes its time."""

PATIENCE = 5.0
"""Seconds after which is said what takes so long."""


class Sources:
    """Where the images of a cache come from: a file for each, or files and other things that hold many.

    Positions count the images of the cache, in order; after them come the files that hold many.

    Args:
        contents: what the cache holds.
        size: sides of its images.
    """

    def __init__(self, contents: Contents, size: tuple[int, ...]) -> None:
        splits: tuple[Split, ...] = ("train", "val", "test", "predict")
        self.rows, self.split = contents.rows, contents.samples.split
        self.readers: dict[str, Reader] = {
            split: contents.make_reader(split, size) for split in splits if len(contents.samples.rows(split))
        }
        holding = (reader for reader in self.readers.values() if not isinstance(reader, FileReader))
        self.held = sorted({path for reader in holding for path in _files(reader)}, key=lambda path: (path.name, path))

    def __len__(self) -> int:
        return len(self.rows) + len(self.held)

    def read(self, position: int) -> np.ndarray:
        """Read one image."""
        row = int(self.rows[position])
        return self.readers[self.split[row]](row)

    def file(self, position: int) -> str | None:
        """The file of one image alone, or one that holds many."""
        if position >= len(self.rows):
            return str(self.held[position - len(self.rows)])
        row = self.rows[position]
        reader = self.readers.get(self.split[row])
        return os.path.join(reader.root, reader.paths[row]) if isinstance(reader, FileReader) else None

    def name(self, position: int) -> str:
        """What to call a file."""
        if position >= len(self.rows):
            return self.held[position - len(self.rows)].name
        reader = self.readers[self.split[self.rows[position]]]
        return str(reader.paths[self.rows[position]]) if isinstance(reader, FileReader) else f"image {position}"

    def facts(self, position: int) -> tuple[int, int, int]:
        """Size, time of change and CRC-32 of a file; the size is -1 where there is none."""
        size, changed = self._size_and_time(position)  # first: what changes from now on will have another time
        return size, changed, 0 if size < 0 else self._content(position)

    def sizes_and_times(self, positions: np.ndarray) -> np.ndarray:
        """Size and time of change in ns of some files, int64 (n, 2); the size is -1 where there is none."""
        found = _in_threads(self._size_and_time, positions, "looking at the times of")
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def held_records(self) -> np.ndarray:
        """Records of the files that hold many images, as they are now."""
        held = np.arange(len(self.rows), len(self))
        found = _in_threads(self.facts, held, "reading")
        return np.array([(SOURCE, 0, *facts) for facts in found], dtype=RECORD)

    def replaced(self, records: np.ndarray) -> np.ndarray:
        """Find the files that are no longer those of their records.

        What has the size and the time of then is taken for the same, and what is not there any more for no matter.
        Of files with the same size and another time, as of a copied folder, the contents decide.

        Args:
            records: one for each position, see ``files.RECORD``. Times of files with the same contents are
                brought up to date in it.

        Returns:
            Positions.
        """
        known = np.flatnonzero(records["state"])
        sizes, times = self.sizes_and_times(known).T
        then = records[known]
        differs = (sizes >= 0) & (sizes != then["size"])
        doubtful = np.flatnonzero((sizes >= 0) & ~differs & (times != then["time"]))
        contents = _in_threads(self._content, known[doubtful], "comparing the contents, since the times differ, of")
        differs[doubtful] = then["content"][doubtful] != np.array(contents, dtype=np.uint32)
        same = doubtful[~differs[doubtful]]
        records["time"][known[same]] = times[same]
        return np.asarray(known[differs])

    def _size_and_time(self, position: int) -> tuple[int, int]:
        path = self.file(position)
        try:
            found = None if path is None else os.stat(path)
        except OSError:
            found = None
        if found is None or not stat.S_ISREG(found.st_mode):
            return -1, 0
        return found.st_size, found.st_mtime_ns

    def _content(self, position: int) -> int:
        """CRC-32 of a file: enough to tell files of one size apart that nobody made to be mistaken."""
        path, code = self.file(position), 0
        assert path is not None
        try:
            with open(path, "rb") as file:
                while part := file.read(1 << 20):
                    code = zlib.crc32(part, code)
        except OSError:
            return 0  # as of an empty file, which is no image
        return code


def _files(reader: Reader) -> set[Path]:
    """Files that a reader keeps open or knows by path, each once."""
    held = list(getattr(reader, "__dict__", {}).values())
    mapped = [Path(str(value.filename)) for value in held if isinstance(value, np.memmap) and value.filename]
    named = [value for value in held if isinstance(value, Path)]
    return set({path.resolve(): path for path in [*mapped, *named]}.values())


def _in_threads(work: Callable[[int], Any], positions: np.ndarray, what: str) -> list[Any]:
    """Do something for each position; say what, once, if it takes long."""
    step = 1 + len(positions) // (8 * THREADS)
    chunks = [positions[start : start + step].tolist() for start in range(0, len(positions), step)]
    said = threading.Timer(PATIENCE, log.info, [f"{what} {len(positions):,} files that the cache is made from"])
    said.start()
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(lambda chunk: [work(position) for position in chunk], chunks)
            return [result for part in parts for result in part]
    finally:
        said.cancel()
