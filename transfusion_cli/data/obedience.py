"""Worker processes leave it to the main process when to stop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FOR_ALL = ("SIGINT", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2")
"""What a terminal or a scheduler sends to every process of a run, and workers need not know."""


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold back signals while workers start: until they obey, they would do what the main process does on a signal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held = {getattr(signal, name) for name in (*FOR_ALL, "SIGTERM") if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent() -> None:
    """Let this process end when its parent says so, and not with Ctrl-C or a scheduler's signal to all processes.

    The main process wants to finish its step first, for which it needs its workers.
    """
    for name in FOR_ALL:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # macOS does not tell who sent a signal
        return
    # SIGTERM is how a parent ends a worker, too; who sent it is told to those alone that wait for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
