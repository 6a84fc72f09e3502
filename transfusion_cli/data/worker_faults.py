"""What can become of the processes that load images, in words."""

import os
import re
import signal
from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path

from transfusion_cli.errors import MachineError

SHARED = Path("/dev/shm")
"""Where batches pass from one process to another, on Linux."""

AHEAD = 2
"""Batches that each worker has ready: the default of PyTorch."""

KILLED = (
    "A process that loads images was killed by the system: most likely memory ran out.\n"
    "Try fewer --data.num_workers, such as {fewer}, or a smaller --data.batch_size."
)
CRASHED = (
    "A process that loads images crashed ({name}): most likely a decoder, on a damaged image.\n"
    "To find it: transfusion data check with the same config, and then --data.exclude."
)
NO_ROOM = (
    "There is too little room in {place} for the processes that load images.\n"
    "Try --data.num_workers 0, or enlarge it (docker run --shm-size 8g)."
)


def worker_fault(error: RuntimeError, workers: Iterable[BaseProcess]) -> MachineError | None:
    """What a loader's error says about its workers; None where it is about something else.

    Args:
        error: raised by the loader.
        workers: its processes.

    Raises:
        MachineError: a worker crashed; whoever does its work would crash as well.
    """
    codes = [worker.exitcode for worker in workers]
    if -signal.SIGBUS in codes or re.search(r"shared memory|\bshm\b|unable to (mmap|resize|write)", str(error)):
        return MachineError(NO_ROOM.format(place=SHARED))
    if not re.search(r"DataLoader worker .*(killed|exited)", str(error)):
        return None
    for name in ("SIGSEGV", "SIGILL", "SIGFPE", "SIGABRT"):
        if -getattr(signal, name) in codes:
            raise MachineError(CRASHED.format(name=name)) from error
    return MachineError(KILLED.format(fewer=len(codes) // 2))


def check_shared_memory(batch: int, workers: int, processes: int) -> None:
    """See that the batches which workers have ready fit into shared memory, as far as that is known.

    Args:
        batch: bytes of one batch, at least.
        workers: processes that load images, for each process that trains.
        processes: that train on this machine.

    Raises:
        MachineError: they do not fit.
    """
    if not workers or not SHARED.is_dir():
        return
    disk = os.statvfs(SHARED)
    free, needed = disk.f_bavail * disk.f_frsize, batch * AHEAD * workers * processes
    if needed > free:
        raise MachineError(
            f"{SHARED} has {free / 1e6:,.1f} MB free; batches from {workers * processes} --data.num_workers "
            f"may take {needed / 1e6:,.1f} MB of it.\n"
            "Try --data.num_workers 0, or enlarge it (docker run --shm-size 8g)."
        )
