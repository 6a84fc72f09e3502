"""Metrics as a CSV file that a resumed run carries on."""

import csv
from contextlib import suppress
from pathlib import Path
from typing import cast

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Carry on with the file that is there, where Lightning would delete it."""
        with suppress(FileNotFoundError), open(self.metrics_file_path, newline="") as file:
            self.metrics_keys = next(csv.reader(file), [])


class MetricsCSV(CSVLogger):
    """Writes ``metrics.csv`` into the run folder, one row per step at which something was logged.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder.parent.parent, name=folder.parent.name, version=folder.name)
        self.folder = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer."""
        if self._experiment is None:
            self._experiment = _Writer(log_dir=str(self.folder))
        return cast(ExperimentWriter, self._experiment)

    def forget_after(self, step: int) -> None:
        """Drop rows of steps after ``step``: a run resumed there writes them again."""
        path = self.folder / ExperimentWriter.NAME_METRICS_FILE
        rows = _rows(path)
        if not rows:
            return
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"] or 0) <= step)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
