"""One folder per run, never written over by another."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.data.run_split import FILE as SPLIT
from transfusion_cli.errors import Fault, UserError
from transfusion_cli.files import NO_ROOM, not_written, require_writable
from transfusion_cli.lock import FileLock

ROOT = Path("lightning_logs")
LATEST = "latest"
SOON = ("checkpoints", "config.yaml", "metrics.csv")
"""What every run has a little after its start."""

EVENTS = "events.out.tfevents"

LOCK = ".lock"
"""Held by the process that trains."""

RESULTS = ("checkpoints/*.ckpt", "results*.json", "predictions*.csv")
"""What no folder is taken back with."""

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


class RunFolder:
    """``<root>/<name>/version_N/``: everything about one run.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._made = False
        """Whether it was made here, for a run that has not begun."""

    @classmethod
    def create(cls, name: str, root: Path = ROOT) -> "RunFolder":
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
        versions = [int(p.name[8:]) for p in (root / name).glob("version_*") if p.name[8:].isdigit()]
        number = max(versions, default=-1) + 1
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

    @classmethod
    def holding(cls, ckpt_path: str | Path | None) -> "RunFolder | None":
        """The run folder that a checkpoint lies in, or None where it lies elsewhere."""
        if ckpt_path is None:
            return None
        # A path through ``latest`` means the run that it leads to now.
        parent = Path(os.path.realpath(ckpt_path)).parent
        home = parent.parent if parent.name == "checkpoints" else parent
        return cls(home) if (home / "config.yaml").is_file() else None

    @staticmethod
    def split_beside(ckpt_path: str | Path | None) -> Path | None:
        """The split file of the run that a checkpoint lies in, or beside the checkpoint itself."""
        if ckpt_path is None:
            return None
        folder = Path(os.path.realpath(ckpt_path)).parent
        return next((path for path in (folder / SPLIT, folder.parent / SPLIT) if path.is_file()), None)

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
        self._lock = FileLock(self.path / LOCK)
        # A process that was killed may take a moment to be gone.
        if not self._lock.acquire(timeout=5):
            raise UserError(
                f"Another process is training in {self.path}.\n"
                "Wait until it ends, or start a run of its own: leave --ckpt_path out."
            )

    def discard(self) -> None:
        """Take back a folder that was made here, where the run ended before its first step and left no results."""
        if not self._made or any(found for pattern in RESULTS for found in self.path.glob(pattern)):
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):  # the one above holds other runs
            self.path.parent.rmdir()

    def publish(self) -> None:
        """Keep this folder, now that the run began, and make ``latest/`` lead to it."""
        self._made = False
        self._link(SOON)

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

    @property
    def name(self) -> str:
        """Name of the run, the folder above."""
        return self.path.parent.name

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def split(self) -> Path:
        """Which sample is in which split."""
        return self.path / SPLIT

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def free(self, name: str) -> Path:
        """A path for ``name`` that no file has yet: ``results.json``, then ``results_1.json`` and so on."""
        path = self.path / name
        number = 0
        while os.path.lexists(path):  # a link that leads nowhere too
            number += 1
            path = self.path / f"{Path(name).stem}_{number}{Path(name).suffix}"
        return path
