"""The command in processes that are forked from one that has imported everything: a second each, not ten."""

import fcntl
import multiprocessing
import os
import pty
import sys
import termios
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from support.processes import COMMAND, Process

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["transfusion_cli.cli.main", "transfusion_cli.cli.run", "transfusion_cli.cli.check", "transfusion_cli.cli.analyze"]
)


class Forked(Process):
    """``transfusion`` with some arguments, as ``Process`` runs it, but for the start and the last end of Python.

    Args:
        folder: where it runs.
        args: its arguments.
        terminal: give it a terminal of its own.
        fault: a function of a module, called in the process before the command: it puts a fault there.
        variables: of its environment, beside those of this one.
    """

    def __init__(self, folder: Path, *args: str, terminal: bool = False, fault: Any = None, **variables: str) -> None:
        self._end, inside = pty.openpty() if terminal else os.pipe()
        self.process = _Popen(_run, folder, args, DupFd(inside), terminal, fault, self.environment(variables))
        os.close(inside)
        self.listen()


class _Popen:
    """A forked process with the face of ``subprocess.Popen``."""

    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        self._process = FORKS.Process(target=target, args=args)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    poll = property(lambda self: lambda: self._process.exitcode)

    def wait(self, seconds: float) -> None:
        self._process.join(seconds)
        assert self._process.exitcode is not None, "it did not end"


def _run(
    folder: Path, args: tuple[str, ...], output: Any, terminal: bool, fault: Any, variables: dict[str, str]
) -> None:
    multiprocessing.set_start_method("fork", force=True)  # for workers, as usual
    os.setsid()
    file = output.detach()
    if terminal:
        fcntl.ioctl(file, termios.TIOCSCTTY, 0)
        os.dup2(file, 0)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = [str(COMMAND), *args]
    if fault is not None:
        fault()
    from transfusion_cli.cli.main import entry

    entry()
