"""The networks that ``transfusion analyze`` compares, from what the user typed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transfusion_cli.analysis.subject import Subject
from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.restore import make_task, restore, saved_arguments

CHECKPOINTS = ("best.ckpt", "last.ckpt", "delta.safetensors")
"""What a run folder is asked for, in this order."""

BEFORE = ("init", "pretrained")
"""Words before a path: the run's network before training, and the pretrained weights that it was given."""


@dataclass(frozen=True)
class Spec:
    """One network as the user names it.

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
    def parse(cls, text: str) -> Spec:
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


@dataclass(frozen=True)
class Network:
    """A loaded network.

    Args:
        spec: as the user named it.
        task: the task that holds it, in evaluation mode, without gradients.
        name: unlike any other's.
    """

    spec: Spec
    task: ClassificationTask
    name: str

    @property
    def subject(self) -> Subject:
        """The network for analysis."""
        return Subject(self.name, self.spec.group, self.task.network, self.task.normalise)


def checkpoint_in(path: Path) -> Path:
    """The checkpoint meant by the path of a file or of a run folder.

    Raises:
        UserError: there is none.
    """
    if path.is_file():
        return path
    for folder in (path / "checkpoints", path):
        found = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
        if found is not None:
            return found
    versions = sorted(entry.name for entry in path.glob("version_*")) if path.is_dir() else []
    advice = f"Name one of its runs: {path / versions[-1]}" if versions else "Give a checkpoint or a run folder."
    raise UserError(f"No checkpoint at {path}.\n{advice}")


def load_networks(specs: list[Spec], template: dict[str, Any] | None = None) -> list[Network]:
    """Load the networks, each an object of its own: first those as they were before training, then the trained ones.

    Args:
        specs: what to load; ``random`` takes the backbone of the first that has a path.
        template: the ``model`` section for ``random`` where no network has a path.

    Raises:
        UserError: a checkpoint cannot be read, or ``random`` has no backbone to take.
    """
    first = next((spec.path for spec in specs if spec.path is not None), None)
    section = saved_arguments(first) if first is not None else template
    if section is None:
        raise UserError("random: takes the backbone of another network.\nName a checkpoint too, or give --config.")
    names: list[str] = []
    networks = []
    for spec in specs:
        names.append(spec.name if spec.name not in names else f"{spec.name} #{names.count(spec.name) + 1}")
        networks.append(Network(spec, load_task(spec, section), names[-1]))
    networks.sort(key=lambda network: network.spec.kind == "run")  # in every pair, what was before comes first
    if first is not None:
        # Drawn weights bring no mean and standard deviation of their own.
        reference = next(network.task for network in networks if network.spec.path is not None)
        for network in networks:
            if network.spec.kind == "random":
                network.task.mean, network.task.std = reference.mean.clone(), reference.std.clone()
    return networks


def before_training(spec: Spec) -> ClassificationTask:
    """The network of a run before its training."""
    return load_task(replace(spec, kind="init"), {})


def load_task(spec: Spec, template: dict[str, Any]) -> ClassificationTask:
    """Build one network, in evaluation mode.

    Args:
        spec: which.
        template: the ``model`` section that ``random`` takes its backbone from.
    """
    plain = "transfusion_cli.strategies.FullFineTuning"  # loads what is pretrained and changes no layer
    if spec.path is None:
        task = make_task({**template, "transfer": plain, "pretrained": False, "seed": spec.seed})
        task.build()
    elif spec.kind == "run":
        task = restore(spec.path)
    else:
        section = saved_arguments(spec.path)
        task = make_task({**section, "transfer": plain} if spec.kind == "pretrained" else section)
        task.build()
    if not isinstance(task, ClassificationTask):
        raise UserError(f"{spec.text} is no classification network.\nGive the checkpoint of one.")
    task.requires_grad_(False)
    return task.eval()


def run_config(spec: Spec) -> Path | None:
    """``config.yaml`` of the run that a network comes from."""
    return None if spec.path is None else RunFolder.config_of(spec.path)
