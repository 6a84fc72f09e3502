"""Reading every image once, over all cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.loader import quiet_worker
from transfusion_cli.data.obedience import held_signals
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.errors import Fault
from transfusion_cli.inspection.image_facts import FACTS, MISSING, UNREADABLE, image_facts

CHUNK = 16
"""Images that a process reads at a time."""

Part = tuple[np.ndarray, np.ndarray, dict[int, str]]


@dataclass
class Scan:
    """What reading the images gave.

    Args:
        facts: one record of ``FACTS`` for each row of the sample table (N,).
        reasons: why a row could not be read.
    """

    facts: np.ndarray
    reasons: dict[int, str]

    def rows(self, state: int) -> np.ndarray:
        """Rows in one state."""
        return np.flatnonzero(self.facts["state"] == state)


class _Chunk:
    """Reads the images of some rows; sent to each process once."""

    def __init__(self, readers: dict[str, Reader], split: np.ndarray) -> None:
        self.readers, self.split = readers, split

    def __call__(self, rows: np.ndarray) -> Part:
        facts, reasons = np.zeros(len(rows), FACTS), {}
        for i, row in enumerate(rows.tolist()):
            try:
                facts[i] = image_facts(self.readers[self.split[row]], row)
            except Exception as error:  # a damaged file can break a decoder anywhere
                missing = isinstance(error.__context__ or error, FileNotFoundError)
                facts[i]["state"] = MISSING if missing else UNREADABLE
                lines = str(error).splitlines() or [type(error).__name__]
                reasons[row] = lines[1] if len(lines) > 1 and not missing else lines[0]
        return rows, facts, reasons


def scan(table: SampleTable, readers: dict[str, Reader], workers: int | None = None, progress: bool = True) -> Scan:
    """Read every image that is in a split.

    Args:
        table: the samples.
        readers: reader of each split.
        workers: processes; None takes one for each core, 0 and 1 read in this one.
        progress: show a bar.

    Raises:
        Fault: a decoder took its process down.
    """
    from tqdm import tqdm

    rows = np.flatnonzero(table.split != "")
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    found = Scan(np.zeros(len(table), FACTS), {})
    with tqdm(total=len(rows), desc="reading", unit=" images", disable=not progress) as bar:
        for part, facts, reasons in _results(_Chunk(readers, table.split), chunks, workers):
            found.facts[part] = facts
            found.reasons |= reasons
            bar.update(len(part))
    return found


def _results(read: _Chunk, chunks: list[np.ndarray], workers: int | None) -> Iterator[Part]:
    workers = min(_cores() if workers is None else workers, len(chunks))
    if workers < 2:
        yield from map(read, chunks)
        return
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(read,))
        stack.callback(pool.shutdown, cancel_futures=True)  # so that Ctrl-C need not wait for the rest
        try:
            with held_signals():
                parts = pool.map(_run, chunks)
            yield from parts
        except BrokenProcessPool as error:
            raise Fault(
                "A process that read images was killed: out of memory, or a decoder that crashed",
                "Try --workers 1, and watch the memory",
            ) from error


_reading: _Chunk | None = None


def _start(read: _Chunk) -> None:
    global _reading
    _reading = read
    quiet_worker(0)


def _run(rows: np.ndarray) -> Part:
    assert _reading is not None
    return _reading(rows)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
