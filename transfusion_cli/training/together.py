"""The processes of a run on one machine end together."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from transfusion_cli.errors import ALONE, Fault

PATIENCE = 10.0
"""Seconds after the end of one in which the others may notice by themselves, and say more."""

_PARENT = "TRANSFUSION_PARENT"


class Together(_SubprocessScriptLauncher):
    """Starts the other processes of this machine, and ends this one when one of them, or the first, was killed.

    Lightning's own way is to kill all of them after a while, without a word; where the first was killed, the others
    may wait for it for half an hour.
    """

    lost: Callable[[], str] = staticmethod(lambda: str(Fault(*ALONE)))
    """Gives the last words of a process that ends in this way."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the others, if that is not done yet, then call ``function``."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            os.environ[_PARENT] = str(os.getpid())
            self._call_children_scripts()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        with self._watching():
            return function(*args, **kwargs)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        done = threading.Event()
        parent = os.getppid() if os.environ.get(_PARENT) == str(os.getppid()) else None
        threading.Thread(target=self._watch, args=(done, parent), daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _watch(self, done: threading.Event, parent: int | None) -> None:
        while not _one_is_gone(self.procs, parent):
            if done.wait(1):
                return
        if done.wait(PATIENCE):
            return
        print(f"transfusion: {self.lost()}", file=sys.stderr, flush=True)
        for process in self.procs:
            process.kill()
        os._exit(1)  # the main thread waits in a collective and hears nothing


def _one_is_gone(children: list[subprocess.Popen[Any]], parent: int | None) -> bool:
    return any(child.poll() for child in children) or (parent is not None and os.getppid() != parent)
