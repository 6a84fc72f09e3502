"""Faults put into a process before it runs a command: at a certain place something dies, or a signal comes."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

TASK = "transfusion_cli.tasks.classification:ClassificationTask"


def at(place: str, do: Callable[[], Any], count: int = 1, after: bool = False) -> None:
    """Let something happen as a function is called.

    Args:
        place: ``module:Class.method`` or ``module:function``.
        do: what happens.
        count: at which call.
        after: not before the call, but when it is done.
    """
    module, _, names = place.partition(":")
    *owners, name = names.split(".")
    owner: Any = import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            do()
        result = original(*args, **kwargs)
        if calls == count and after:
            do()
        return result

    setattr(owner, name, replaced)


def fault(place: str, do: Callable[[], Any], count: int = 1, after: bool = False) -> Callable[[], None]:
    """A fault to give to another process."""
    return partial(at, place, do, count, after)


def die() -> None:
    """``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def ctrl_c() -> None:
    """Ctrl-C in a terminal: all processes of the group get it."""
    os.killpg(0, signal.SIGINT)


def ctrl_c_twice() -> None:
    """An impatient one."""
    ctrl_c()
    ctrl_c()


def terminate() -> None:
    """As ``kill`` and schedulers do."""
    os.kill(os.getpid(), signal.SIGTERM)


def worker_dies() -> None:
    """As the system does when memory runs out."""
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGKILL)


def no_device_memory() -> None:
    """What torch says then."""
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ...")


def nobody_reads() -> None:
    """Standard output is a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(reader)
    os.close(writer)
