"""The files that say what a run was: configuration, environment, split."""

import shlex
import sys
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.files import write_json, write_text
from transfusion_cli.reports.csv_log import MetricsCSV
from transfusion_cli.reports.environment import environment
from transfusion_cli.reports.open_folder import OpenFolder
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.versions import free_path


class RunFiles(pl.Callback):
    """Write ``config.yaml``, ``overrides.txt``, ``environment.json`` and ``split.csv`` as training starts.

    Of volumes also ``preprocessing.json``. A resumed run keeps what it wrote first and adds ``config_1.yaml``,
    ``environment_1.json`` and so on. Its split stays the one it began with.

    Args:
        folder: the run folder.
        config: the resolved configuration, as YAML.
        seed: the seed of the run.
    """

    def __init__(self, folder: OpenFolder, config: str, seed: int | None) -> None:
        self.folder = folder
        self.config = config
        self.seed = seed
        self._written = False
        self._begun = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write the files, once, before the first phase."""
        if stage != "fit" or self._written:
            return
        self._written = True
        self._write(trainer)

    @rank_zero_only
    def _write(self, trainer: pl.Trainer) -> None:
        write_text(free_path(self.folder.config), self.config)
        write_text(free_path(self.folder.overrides), shlex.join(["transfusion", *sys.argv[1:]]) + "\n")
        write_json(free_path(self.folder.environment), environment(self.seed))
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        split = self.folder.split
        if data is not None and hasattr(data, "split_frame") and not split.exists():
            write_text(split, spreadsheet_frame(data.split_frame()).to_csv(index=False))
            write_text(self.folder.split_hash, f"{data.split_hash}\n")
        made = getattr(data, "preprocessing", None)
        if made is not None and not self.folder.preprocessing.exists():
            write_json(self.folder.preprocessing, made.to_dict())

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """The run has begun: from now on it is worth keeping."""
        if not self._begun and trainer.is_global_zero:
            self.folder.publish()
        self._begun = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop logged rows that a resumed run is about to write again."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.resume(trainer.global_step)
