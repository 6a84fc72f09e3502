"""What watches a run and writes it down."""

from contextlib import suppress
from pathlib import Path

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from transfusion_cli.reports.csv_log import MetricsCSV
from transfusion_cli.reports.results_writer import ResultsWriter
from transfusion_cli.reports.run_files import RunFiles
from transfusion_cli.reports.run_folder import RunFolder
from transfusion_cli.reports.tensorboard import TensorBoardReport
from transfusion_cli.tasks.interrupt import GracefulInterrupt
from transfusion_cli.tasks.periodic_checkpoint import PeriodicCheckpoint


def loggers(folder: RunFolder) -> list[Logger]:
    """TensorBoard and CSV, both straight into the run folder."""
    path = folder.path
    tensorboard = TensorBoardLogger(path.parent.parent, path.parent.name, path.name, default_hp_metric=False)
    return [tensorboard, MetricsCSV(path)]


def recorders(folder: RunFolder, config: str, seed: int) -> list[Callback]:
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
        ResultsWriter(folder),
        PeriodicCheckpoint(folder.checkpoints),
        GracefulInterrupt(folder.checkpoints / "last.ckpt"),
    ]


def settle(callbacks: list[Callback], folder: Path) -> None:
    """Give checkpoint callbacks without a folder of their own that of the run."""
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(folder)


def discard_if_empty(folder: RunFolder) -> None:
    """Take back the folder of a run that ended before it began."""
    home, latest = folder.path.parent, folder.path.parent / "latest"
    with suppress(OSError):  # it, or the one above, holds something
        folder.path.rmdir()
        if latest.is_symlink() and not latest.exists():
            latest.unlink()
        home.rmdir()
