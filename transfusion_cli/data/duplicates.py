"""Which image files are the same file under several names."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

_BLOCK = 1 << 16
"""Bytes from the middle of a file that tell most files of the same size apart, as uncompressed images are."""


def duplicate_groups(folder: Path, paths: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Name for each file the first one, in the order given, that holds the same bytes: string array (N,).

    Only files of the same size are opened, and only those read whole whose middles agree. A file that cannot be read
    stands for itself.

    Args:
        folder: Where the paths start.
        paths: Path of each file (N,).
        labels: Label of each file, (N,) or (N, L), to count the groups that contradict themselves.
    """
    groups = np.zeros(len(paths), dtype=np.int64)
    with ThreadPoolExecutor() as pool:
        for describe in (_size, _middle, _content):
            again = np.flatnonzero(np.bincount(groups, minlength=len(paths))[groups] > 1)
            described = pool.map(_guarded(describe), (folder / paths[row] for row in again))
            numbers: dict[tuple[int, object], int] = {}
            for row, fact in zip(again, described, strict=True):
                # A group is numbered by its first row, so numbers of different groups never meet.
                key = int(groups[row]), ("unreadable", row) if fact is None else fact
                groups[row] = numbers.setdefault(key, int(row))
    _report(groups, labels)
    return paths[groups]


def _size(path: Path) -> object:
    return path.stat().st_size


def _middle(path: Path) -> object:
    with path.open("rb") as file:
        file.seek(max(0, (path.stat().st_size - _BLOCK) // 2))
        return hashlib.blake2b(file.read(_BLOCK)).digest()


def _content(path: Path) -> object:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _guarded(describe: Callable[[Path], object]) -> Callable[[Path], object]:
    def answer(path: Path) -> object:
        try:
            return describe(path)
        except OSError:
            return None

    return answer


def _report(groups: np.ndarray, labels: np.ndarray | None) -> None:
    names, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    several = int((counts > 1).sum())
    if not several:
        return
    contradictory = 0
    if labels is not None:
        pairs = np.unique(np.column_stack([codes, np.nan_to_num(labels, nan=-1)]), axis=0)
        contradictory = int((np.bincount(pairs[:, 0].astype(np.int64), minlength=len(names)) > 1).sum())
    log.info(
        "%d images are exact copies of others, in %d groups, of which %d have conflicting labels",
        len(groups) - len(names),
        several,
        contradictory,
    )
