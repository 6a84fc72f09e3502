"""What can become of the processes that load images, in words."""

import math
import os
import re
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from transfusion_cli.errors import Fault

SHARED = Path("/dev/shm")
"""Where batches pass from one process to another, on Linux."""

AHEAD = 2
"""Batches that each worker has ready: the default of PyTorch."""

ROOM = "Try --data.num_workers 0, or enlarge it (docker run --shm-size 8g)"


def worker_fault(error: Exception, workers: Sequence[BaseProcess]) -> Fault | None:
    """What a loader's error says about its workers; None where it is about something else.

    Args:
        error: raised by the loader.
        workers: its processes.

    Raises:
        Fault: a worker crashed; whoever does its work would crash as well.
    """
    said = str(error)
    if isinstance(error, OSError | EOFError):  # of a connection to a worker that is dying
        for worker in workers:
            worker.join(1)
    ends = {worker.exitcode for worker in workers} - {None, 0}
    if -signal.SIGBUS in ends or re.search(r"shared memory|\bshm\b", said):
        return Fault(f"There is too little room in {SHARED} for the processes that load images", ROOM)
    if not ends or not (
        isinstance(error, OSError | EOFError) or re.search(r"DataLoader worker .*(killed|exited)", said)
    ):
        return None
    for name in ("SIGSEGV", "SIGILL", "SIGFPE", "SIGABRT"):
        if -getattr(signal, name) in ends:
            raise Fault(
                f"A process that loads images crashed ({name}): most likely a decoder, on a damaged image",
                "Find it by transfusion data check, leave it out by --data.exclude",
            ) from error
    return Fault(
        "A process that loads images was killed by the system: most likely memory ran out",
        f"Try fewer --data.num_workers, such as {len(workers) // 2}, or a smaller --data.batch_size",
    )


def check_shared_memory(batch: tuple[int, ...], workers: int) -> None:
    """See that the batches which workers have ready fit into shared memory, as far as that is known.

    Args:
        batch: shape (B, C, H, W) of what all processes of this machine together train on; 8 bits a value at least.
        workers: processes that load images, for each process that trains.

    Raises:
        Fault: they do not fit.
    """
    if not workers or not SHARED.is_dir():
        return
    disk = os.statvfs(SHARED)
    free, needed = disk.f_bavail * disk.f_frsize, math.prod(batch) * AHEAD * workers
    if needed > free:
        raise Fault(
            f"{SHARED} has {free / 1e6:,.1f} MB free, and {workers} --data.num_workers put up to "
            f"{needed / 1e6:,.1f} MB of batches there",
            ROOM,
        )
