"""The folder that a run writes: one for each, never written over by another."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.errors import Fault, UserError
from transfusion_cli.files import NO_ROOM, not_written, require_writable
from transfusion_cli.lock import FileLock
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.versions import versions

LATEST = "latest"
EVENTS = "events.out.tfevents"

_VARIABLE = "TRANSFUSION_RUN_FOLDER"


def check_name(name: str) -> str:
    """A name of runs that is one of folders inside the root: ``chexpert``, ``chexpert/bn``.

    Raises:
        UserError: it leads elsewhere, is empty, or cannot be typed or shown.
    """
    parts = name.split("/")
    if not name.isprintable() or {"", ".", ".."} & set(parts) or "\\" in name:
        raise UserError(
            f"--name {name!a} is no name for a folder inside --root.\n"
            "Take letters, digits and the like, such as --name chexpert_bn; --root DIR says where runs lie."
        )
    return name


class OpenFolder(RunFolder):
    """A run folder that is written.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._made = False
        """Whether it was made here, for a run that has not begun."""

    @classmethod
    def create(cls, name: str, root: Path) -> Self:
        """Make the next free version of ``name``.

        Processes that the first one starts find its folder in their environment. Those that a cluster starts beside
        it (SLURM, torchrun) get a name that stays unused: only the first process writes.

        Raises:
            UserError: when the folder cannot be written.
        """
        if inherited := os.environ.get(_VARIABLE):
            return cls(inherited)
        if rank := getattr(rank_zero_only, "rank", 0):
            return cls(root / name / f"process_{rank}")
        number = next((run.number + 1 for run in cls.versions_of(root / name)), 0)
        while True:
            path = root / name / f"version_{number}"
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:  # another run took the number just now
                number += 1
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise not_written(path, error) from error
                raise UserError(
                    f"Could not make the run folder {path}: {error.strerror}.\n"
                    "Run from a folder that you may write to, or give --root another place."
                ) from error
        folder = cls(path)
        folder._made = True
        return folder

    def refuse_links(self) -> None:
        """See that what is written here stays here.

        Raises:
            UserError: the folder holds links, which this program never makes: a folder of somebody else's might use
                them to have files elsewhere overwritten.
        """
        entries = [entry for folder in (self.path, self.checkpoints) if folder.is_dir() for entry in folder.iterdir()]
        link = next((entry for entry in entries if entry.is_symlink()), None)
        if link is not None:
            raise UserError(
                f"{link} is a link, and the run would write through it.\n"
                "Put the file itself there, or copy the checkpoint to another folder."
            )

    def require_writable(self, advice: str) -> None:
        """See that files can be written here, before the work whose results they hold.

        Args:
            advice: what else to do than to mend that.

        Raises:
            UserError: they cannot.
        """
        if getattr(rank_zero_only, "rank", 0):
            return
        try:
            require_writable(self.path)
        except Fault as fault:
            self.discard()
            if not advice:
                raise
            raise UserError(f"{fault.what}.\n{advice}") from fault

    def occupy(self) -> None:
        """Let no other process train in this folder until this one ends.

        Raises:
            UserError: another process does.
        """
        if getattr(rank_zero_only, "rank", 0):
            return
        self._held = FileLock(self.lock)
        # A process that was killed may take a moment to be gone.
        if not self._held.acquire(timeout=5):
            raise UserError(
                f"Another process is training in {self.path}.\n"
                "Wait until it ends, or start a run of its own: leave --ckpt_path out."
            )

    def discard(self) -> None:
        """Take back a folder that was made here, where the run ended before its first step and left no results."""
        written = [*versions(self.results), *versions(self.test_predictions), *versions(self.predictions)]
        if not self._made or written or any(self.checkpoints.glob("*.ckpt")):
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):  # the one above holds other runs
            self.path.parent.rmdir()

    def publish(self) -> None:
        """Keep this folder, now that the run began, and make ``latest/`` lead to it."""
        self._made = False
        self._link({path.name for path in (self.checkpoints, self.config, self.metrics)})  # they are there soon

    def refresh(self) -> None:
        """Show in ``latest/``, if it leads to this run, what is there by now."""
        if (self.path.parent / LATEST / self.config.name).resolve().parent == self.path.resolve():
            self._link()

    def _link(self, soon: Iterable[str] = ()) -> None:
        """Fill ``latest/`` with links to what this run holds, but for its events: TensorBoard would show them twice."""
        latest = self.path.parent / LATEST
        with suppress(OSError):  # no links on this file system; the run does not need them
            there = list(latest.iterdir()) if latest.is_dir() else []
            if not all(entry.is_symlink() for entry in there):
                return  # the user's
            names = {entry.name for entry in self.path.iterdir() if not entry.name.startswith((".", EVENTS))} | {*soon}
            latest.mkdir(exist_ok=True)
            for name in names:
                fresh = latest / f".{name}_{os.getpid()}"
                fresh.symlink_to(Path("..") / self.path.name / name)
                os.replace(fresh, latest / name)
            for entry in there:
                if entry.name not in names:  # an earlier run's
                    entry.unlink()

    def share(self) -> None:
        """Let processes started from here on write into this folder."""
        os.environ[_VARIABLE] = str(self.path)

    @staticmethod
    def unshare() -> None:
        """End what ``share`` began."""
        os.environ.pop(_VARIABLE, None)
