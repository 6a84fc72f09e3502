"""The work of ``transfusion export``, from a run's name to files."""

import argparse
import logging
import shlex
from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from transfusion_cli.cli.app import TransfusionCLI, follow
from transfusion_cli.cli.config.parser import Parser
from transfusion_cli.cli.config.trusting import trusting, without_trust
from transfusion_cli.cli.named_run import best_of, one_run
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.export.decisions import decisions_of
from transfusion_cli.export.formats import export
from transfusion_cli.export.trained_run import TrainedRun, can_be_exported
from transfusion_cli.files import require_writable
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.restore import restore

log = logging.getLogger(__name__)


class RunData(TransfusionCLI):
    """Parses like ``test`` and builds the data module of a run alone; writes nothing.

    Args:
        args: ``--ckpt_path`` and what shall be otherwise.
        verb: ``predict`` knows ``--input`` too.
    """

    records = False
    datamodule: MedicalDataModule

    def __init__(self, args: list[str], verb: str = "test") -> None:
        super().__init__([verb, *args])

    def instantiate_classes(self) -> None:
        """Build the data module, which follows the run's split."""
        parser = Parser()
        parser.add_subclass_arguments(MedicalDataModule, "data")
        self.datamodule = parser.instantiate_classes(Namespace(data=self.own.data)).data
        follow(self.datamodule, self.own.ckpt_path, "run")

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is evaluated."""


def exported(own: argparse.Namespace, rest: list[str]) -> Path:
    """Write a run in one format.

    Args:
        own: flags of the verb.
        rest: flags of the data, and modules to trust.

    Returns:
        The folder.

    Raises:
        UserError: see ``TrainedRun.of`` and ``export``.
    """
    quieten()
    folder, checkpoint = checkpoint_of(own.run, own.root)
    output = None if own.output is None else own.output.expanduser()
    modules = without_trust(rest)[1]
    with trusting(rest) as given:
        task = restore(checkpoint, modules)
        classifier = can_be_exported(task, folder)
        require_writable(output or folder.export)
        run = replace(trained(folder, checkpoint, classifier, given), decisions=decisions_of(checkpoint))
        path, difference = export(run, own.format, output)
    print(f"Compared on {run.reference.told}: logits and probabilities differ by {difference:.1e} at most.")
    print("\n".join(["", *next_steps(own.format, path), "", f"Written to {path}/"]))
    return path


def checkpoint_of(word: str, root: Path) -> tuple[RunFolder, Path]:
    """The run behind what was typed, and the file of its best epoch, its delta where that is all there is.

    Raises:
        UserError: there is none, or a checkpoint lies elsewhere than in its run folder.
    """
    path = Path(word).expanduser()
    if path.is_file():
        folder = RunFolder.holding(path)
        if folder is None:
            raise UserError(
                f"{path} lies outside its run folder, whose config.yaml says how images are read.\n"
                "Give the checkpoint in its place, or the run folder."
            )
        return folder, path
    run = one_run("export", word, root)
    alone = run.delta.is_file() and not run.best.is_file() and not run.last.is_file()
    return run, run.delta if alone else best_of("export", run)


def trained(folder: RunFolder, checkpoint: Path, task: ClassificationTask, given: list[str]) -> TrainedRun:
    """The run with its own images, or with random ones where those are not there.

    Args:
        folder: of the run.
        checkpoint: in it.
        task: of the checkpoint.
        given: flags of the data, whose mistakes are told.
    """
    data = None
    try:
        data = RunData(["--ckpt_path", str(checkpoint), *given]).datamodule
        return TrainedRun.of(folder, task, data)
    except UserError as error:
        if given:
            raise
        reason = str(error).splitlines()[0]
    log.warning("The run's images are not at hand, and random ones are compared: %s", reason)
    return TrainedRun.of(folder, task, data, images=False)


def next_steps(kind: str, path: Path) -> list[str]:
    """How what was written is read, in a line."""
    file = {"onnx": "model.onnx", "torchscript": "model.pt"}.get(kind)
    place = str(path / file) if file else str(path)
    match kind:
        case "onnx":
            how = f"onnxruntime.InferenceSession({place!r})"
        case "torchscript":
            how = f"torch.jit.load({place!r})"
        case _:
            how = f"timm.create_model({f'local-dir:{place}'!r}, pretrained=True)"
    steps = ["In Python", f"  {how}"]
    if kind == "hf":
        steps.append(f"Fill in what only you know: {shlex.quote(str(path / 'README.md'))}")
    return steps
