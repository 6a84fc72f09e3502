"""What watches a run and writes it down."""

import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger

from transfusion_cli.reports.csv_log import MetricsCSV
from transfusion_cli.reports.curves import Curves
from transfusion_cli.reports.epoch_lines import EpochLines, number
from transfusion_cli.reports.mask_pictures import MaskPictures
from transfusion_cli.reports.mask_writer import MaskWriter
from transfusion_cli.reports.open_folder import OpenFolder
from transfusion_cli.reports.pixel_statistics import PixelStatistics
from transfusion_cli.reports.progress import Progress
from transfusion_cli.reports.results_writer import ResultsWriter
from transfusion_cli.reports.run_files import RunFiles
from transfusion_cli.reports.tensorboard import TensorBoardReport
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.checkpoints import read_checkpoint
from transfusion_cli.tasks.delta import save_delta
from transfusion_cli.tasks.steps_to_target import StepsToTarget
from transfusion_cli.training.interruption import Interruption
from transfusion_cli.training.run_checkpoint import RunCheckpoint
from transfusion_cli.training.trainer import Trainer


def loggers(folder: OpenFolder, verb: str = "fit") -> list[Logger]:
    """TensorBoard and CSV, both straight into the run folder.

    The curves of a run are those of its training, to which an evaluation adds nothing but figures.
    """
    kinds: dict[str, list[type[Curves] | type[MetricsCSV]]]
    kinds = {"fit": [Curves, MetricsCSV], "test": [Curves], "validate": [MetricsCSV]}
    return [kind(folder.path) for kind in kinds.get(verb, [])]


def recorders(folder: OpenFolder, config: str, seed: int) -> list[Callback]:
    """The callbacks of every run.

    Args:
        folder: where they write.
        config: the resolved configuration, as YAML.
        seed: the seed of the run.
    """
    return [
        RunFiles(folder, config, seed),
        TensorBoardReport(),
        LearningRateMonitor(),
        PixelStatistics(),
        ResultsWriter(folder),
        MaskPictures(),
        MaskWriter(folder),
    ]


def progress(config: dict[str, Any]) -> list[Callback]:
    """What shows how far a run is: a line an epoch, under a bar in a terminal. The trainer adds no bar of its own.

    Args:
        config: the trainer's; ``enable_progress_bar`` becomes whether a bar is shown.
    """
    bar = config["enable_progress_bar"] = config["enable_progress_bar"] is not False and sys.stdout.isatty()
    return [EpochLines(config["max_epochs"], bar), *([Progress()] if bar else [])]


def settle(callbacks: list[Callback], folder: OpenFolder) -> None:
    """Give checkpoint callbacks without a folder of their own that of the run, and ``StepsToTarget`` its file.

    The run's checkpoints are written on signals too.
    """
    for callback in list(callbacks):
        if isinstance(callback, RunCheckpoint):
            callbacks.append(Interruption(callback))
        if isinstance(callback, StepsToTarget):
            callback.path = folder.steps_to_target
        if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(folder.checkpoints.resolve())  # resuming from another folder must find it the same


def keep_delta(trainer: Trainer, task: TransferTask, folder: OpenFolder) -> str:
    """Leave the task with the weights that the run keeps, and write what they changed of the base weights.

    Returns:
        Which epoch that was, how good, and in which file.
    """
    checkpoint = read_checkpoint(trainer.kept_checkpoint)
    task.load_state_dict(checkpoint["state_dict"])
    task.on_load_checkpoint(checkpoint)
    if trainer.is_global_zero:
        save_delta(task, folder.delta)
    trainer.strategy.barrier("delta checkpoint")
    keeper, kept = trainer.keeper, folder.checkpoints / Path(trainer.kept_checkpoint).name
    if keeper is None:
        return f"not known, for want of a validation; the last is kept, {kept}"
    best = f"{checkpoint['epoch'] + 1} of {trainer.epochs_done}: {keeper.monitor} {number(keeper.best_model_score)}"
    return f"{best}, {kept}"


def table(trainer: Trainer) -> str:
    """The results of the last test as text; empty where none was made here."""
    return next((callback.table for callback in trainer.callbacks if isinstance(callback, ResultsWriter)), "")


def written(trainer: Trainer) -> list[Path]:
    """The files of the evaluations made here."""
    results = [
        path for callback in trainer.callbacks if isinstance(callback, ResultsWriter) for path in callback.written
    ]
    masks = [callback.masks for callback in trainer.callbacks if isinstance(callback, MaskWriter)]
    return [*results, *(folder for folder in masks if folder is not None)]
