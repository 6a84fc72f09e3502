"""What networks made of images, kept on the disk by what decided it."""

import hashlib
import logging
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np

from transfusion_cli.files import not_written, whole_file
from transfusion_cli.lock import FileLock

log = logging.getLogger(__name__)

FOLDER = Path("~/.cache/transfusion/features")
"""Where features lie, unless somebody says otherwise."""

FORMAT = 1
"""Raised whenever the files of a store change."""

Rows = dict[str, np.ndarray]
"""Columns by name, each (n, ...)."""


def feature_key(*facts: object) -> str:
    """The name of what some facts decide: 32 digits of a SHA-256 over all of them, in order.

    Args:
        facts: plain data, whose ``repr`` tells all of it, and arrays without objects, which count by shape, type and
            content.
    """
    digest = hashlib.sha256(repr(FORMAT).encode())
    for fact in facts:
        if isinstance(fact, np.ndarray):
            digest.update(f"\0{fact.dtype.str} {fact.shape}\0".encode())
            digest.update(np.ascontiguousarray(fact).view(np.uint8).data)
        else:
            digest.update(f"\0{fact!r}\0".encode())
    return digest.hexdigest()[:32]


class FeatureStore:
    """A folder with one file for each key, there only when whole: ``<key>.npy``, a record for each row.

    Nothing in it is ever changed. Any file may be deleted: it is made again when it is asked for.

    Args:
        folder: where it is; made with its first file.
    """

    def __init__(self, folder: Path | str = FOLDER) -> None:
        self.folder = Path(folder).expanduser()

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / f"{key}.npy"

    def get(self, key: str) -> Rows | None:
        """The columns of a key, mapped from the disk and not to be written to; None where they are not there whole."""
        path = self.path(key)
        try:
            records = np.load(path, mmap_mode="r", allow_pickle=False)
            whole = isinstance(records, np.memmap) and records.ndim == 1 and records.dtype.names is not None
            if not whole or path.stat().st_size != records.offset + records.nbytes:
                raise ValueError("not the file that was written")
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged header can break its parser anywhere
            log.warning("%s cannot be used (%s) and is made anew", path, error or type(error).__name__)
            return None
        return {name: records[name] for name in records.dtype.names or ()}

    def remove(self, key: str) -> None:
        """Forget a key for which there is no use any more."""
        for path in (self.path(key), self.path(key).with_suffix(".lock")):
            path.unlink(missing_ok=True)

    def put(self, key: str, chunks: Iterable[Rows], rows: int) -> Rows:
        """Make what belongs to a key, unless it is there: no more than a chunk of it is in memory at a time.

        Processes that want the same key take turns, so that one of them makes it for all.

        Args:
            key: its name.
            chunks: some rows after the other, all with the same columns; looked at only where there is nothing yet.
            rows: how many they are together, at least one.

        Returns:
            As of ``get``.

        Raises:
            Fault: it cannot be written; there is then no such key.
            ValueError: the chunks have another number of rows.
        """
        path = self.path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            lock.acquire()
        except OSError as error:
            raise not_written(path, error) from error
        try:
            if (found := self.get(key)) is not None:
                return found
            _write(path, chunks, rows)
        finally:
            lock.release()
        made = self.get(key)
        assert made is not None
        return made


def _write(path: Path, chunks: Iterable[Rows], rows: int) -> None:
    parts = iter(chunks)
    first = next(parts)
    # Aligned, so that every column is an array that torch can take as it lies.
    kind = np.dtype([(name, part.dtype, part.shape[1:]) for name, part in first.items()], align=True)
    written = 0
    with whole_file(path) as file:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (rows,)}
        np.lib.format.write_array_header_2_0(file, header)
        for part in chain([first], parts):
            records = np.zeros(len(next(iter(part.values()))), kind)
            for name, values in part.items():
                records[name] = values
            file.write(records.view(np.uint8).data)
            written += len(records)
        if written != rows:
            raise ValueError(f"{written} rows in place of {rows}")
