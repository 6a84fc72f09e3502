"""Reading every image once, over all cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfusion_cli.data.loader import quiet_worker
from transfusion_cli.data.masks.mismatch import Misplaced, UnknownValue
from transfusion_cli.data.obedience import held_signals
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.errors import Fault
from transfusion_cli.inspection.case_facts import CaseLook
from transfusion_cli.inspection.image_facts import APART, MISSING, UNKNOWN, UNREADABLE, ImageLook

Look = ImageLook | CaseLook

Part = tuple[np.ndarray, np.ndarray, dict[int, str]]


@dataclass
class Scan:
    """What reading the images gave.

    Args:
        facts: one record for each row of the sample table (N,), of ``FACTS`` or of what ``CaseLook`` adds.
        reasons: why a row could not be read.
    """

    facts: np.ndarray
    reasons: dict[int, str]

    def rows(self, state: int) -> np.ndarray:
        """Rows in one state."""
        return np.flatnonzero(self.facts["state"] == state)


class _Chunk:
    """Reads the images of some rows; sent to each process once."""

    def __init__(self, readers: Mapping[str, Any], split: np.ndarray, look: Look) -> None:
        self.readers, self.split, self.look = readers, split, look

    def __call__(self, rows: np.ndarray) -> Part:
        facts, reasons = np.zeros(len(rows), self.look.dtype), {}
        for i, row in enumerate(rows.tolist()):
            try:
                facts[i] = self.look(self.readers[self.split[row]], row)
            except Exception as error:  # a damaged file can break a decoder anywhere
                state = facts[i]["state"] = _state(error)
                lines = str(error).splitlines() or [type(error).__name__]
                reasons[row] = lines[0]
                if state == UNREADABLE:  # the first line names the file
                    reasons[row] = lines[min(1, len(lines) - 1)]
                elif state != MISSING:
                    reasons[row] = ": ".join(lines[:2])
        return rows, facts, reasons


def _state(error: Exception) -> int:
    if isinstance(error.__context__ or error, FileNotFoundError):
        return MISSING
    return UNKNOWN if isinstance(error, UnknownValue) else APART if isinstance(error, Misplaced) else UNREADABLE


def scan(
    table: SampleTable,
    readers: Mapping[str, Any],
    workers: int | None = None,
    progress: bool = True,
    look: Look | None = None,
    unit: str = "images",
) -> Scan:
    """Read every image that is in a split.

    Args:
        table: the samples.
        readers: reader of each split.
        workers: processes; None takes one for each core, 0 and 1 read in this one.
        progress: show a bar.
        look: notes what there is to say of each; None for images.
        unit: what the samples are called.

    Raises:
        Fault: a decoder took its process down.
    """
    from tqdm import tqdm

    look = look or ImageLook()
    rows = np.flatnonzero(table.split != "")
    chunks = [rows[start : start + look.chunk] for start in range(0, len(rows), look.chunk)]
    found = Scan(np.zeros(len(table), look.dtype), {})
    with tqdm(total=len(rows), desc="reading", unit=f" {unit}", disable=not progress) as bar:
        for part, facts, reasons in _results(_Chunk(readers, table.split, look), chunks, workers):
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
