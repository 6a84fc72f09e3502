"""A network as the user names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder

BEFORE = ("init", "pretrained")
"""Words before a path: the run's network before training, and the pretrained weights that it was given."""


@dataclass(frozen=True)
class Spec:
    """Which network, from which state.

    Args:
        text: as typed.
        kind: ``run``, ``init``, ``pretrained`` or ``random``.
        path: the checkpoint; None for ``random``.
        seed: of ``random``.
    """

    text: str
    kind: str
    path: Path | None = None
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PATH``, ``init:PATH``, ``pretrained:PATH`` or ``random:SEED``.

        Raises:
            UserError: no such checkpoint, or no seed.
        """
        kind, colon, rest = text.partition(":")
        if colon and kind == "random":
            if not rest.isdigit():
                raise UserError(f"{text}: random: takes a seed.\nTry random:1")
            return cls(text, kind, seed=int(rest))
        if not (colon and kind in BEFORE):
            kind, rest = "run", text
        return cls(text, kind, checkpoint_in(Path(rest).expanduser()))

    @property
    def name(self) -> str:
        """What tables and figures call it: ``run/0`` for version 0, with the checkpoint where that is not the best."""
        if self.path is None:
            return self.text
        home = RunFolder.holding(self.path)
        if home is None:
            own = self.path.stem
        else:
            own = f"{home.name}/{home.path.name.removeprefix('version_')}"
            if self.kind == "run" and self.path.stem not in ("best", "delta"):
                own += f"/{self.path.stem}"
        return own if self.kind == "run" else f"{self.kind}:{own}"

    @property
    def group(self) -> str:
        """What its repetitions share: the name without version or seed."""
        return "untrained" if self.path is None else self.name.partition("/")[0]

    @property
    def config(self) -> Path | None:
        """``config.yaml`` of the run that the network comes from."""
        return None if self.path is None else RunFolder.config_of(self.path)


def checkpoint_in(path: Path) -> Path:
    """The checkpoint meant by the path of a file or of a run folder.

    Raises:
        UserError: there is none.
    """
    if path.is_file():
        return path
    run = RunFolder(path)
    names = (run.best, run.last, run.delta)
    found = [place for folder in (run.checkpoints, path) for name in names if (place := folder / name.name).is_file()]
    if found:
        return found[0]
    versions = RunFolder.versions_of(path)
    advice = f"Name one of its runs: {versions[0]}" if versions else "Give a checkpoint or a run folder."
    raise UserError(f"No checkpoint at {path}.\n{advice}")
