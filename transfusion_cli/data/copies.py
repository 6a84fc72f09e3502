"""Which image files are the same file under several names."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

_BLOCK = 1 << 12
"""Bytes from the middle of a file that tell most files of the same size apart, as uncompressed images are."""

_BATCH = 256
"""Files that a thread looks at in one go."""

PATIENCE = 5.0
"""Seconds after which the user is told what is taking so long."""


def duplicate_groups(folder: Path, paths: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Number for each file the row of the first one, by its path, that holds the same bytes: int64 (N,).

    Only files of the same size are opened, and only those read whole whose middles agree. A file that cannot be read
    stands for itself.

    Args:
        folder: where the paths start.
        paths: path of each file (N,).
        labels: label of each file, (N,) or (N, L), to count the groups that contradict themselves.
    """
    order = np.argsort(paths, kind="stable")
    groups = _group([os.path.join(folder, path) for path in paths[order].tolist()])
    first = np.empty(len(paths), dtype=np.int64)
    first[order] = order[groups]
    _report(first, labels)
    return first


def _group(files: list[str]) -> np.ndarray:
    """Number of the first file, in the order given, that holds the same bytes, for each."""
    groups = np.zeros(len(files), dtype=np.int64)
    start, told = time.monotonic(), False
    with ThreadPoolExecutor() as pool:
        for describe in (_size, _middle, _content):
            again = np.flatnonzero(np.bincount(groups, minlength=len(files))[groups] > 1).tolist()
            batches = [again[first : first + _BATCH] for first in range(0, len(again), _BATCH)]
            described = pool.map(lambda rows, describe=describe: [_said(describe, files[row]) for row in rows], batches)
            numbers: dict[tuple[int, object], int] = {}
            for rows, facts in zip(batches, described, strict=True):
                for row, fact in zip(rows, facts, strict=True):
                    # A group is numbered by its first row, so numbers of different groups never meet.
                    key = int(groups[row]), ("unreadable", row) if fact is None else fact
                    groups[row] = numbers.setdefault(key, row)
                if not told and time.monotonic() - start > PATIENCE:
                    log.info("looking for copies among %d images, since no patients are known", len(files))
                    told = True
    return groups


def _said(describe: Callable[[str], object], path: str) -> object:
    """A fact of a file; None where it cannot be read."""
    try:
        return describe(path)
    except OSError:
        return None


def _size(path: str) -> object:
    return os.stat(path).st_size


def _middle(path: str) -> object:
    with open(path, "rb", buffering=0) as file:
        file.seek(max(0, (os.fstat(file.fileno()).st_size - _BLOCK) // 2))
        return hashlib.blake2b(file.read(_BLOCK)).digest()


def _content(path: str) -> object:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _report(first: np.ndarray, labels: np.ndarray | None) -> None:
    names, codes, counts = np.unique(first, return_inverse=True, return_counts=True)
    several = int((counts > 1).sum())
    if not several:
        return
    contradictory = 0
    if labels is not None:
        pairs = np.unique(np.column_stack([codes, np.nan_to_num(labels, nan=-1)]), axis=0)
        contradictory = int((np.bincount(pairs[:, 0].astype(np.int64), minlength=len(names)) > 1).sum())
    text = "%d images are exact copies of others and stay together: %d groups, %d with conflicting labels"
    log.info(text, len(first) - len(names), several, contradictory)
