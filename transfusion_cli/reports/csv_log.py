"""Metrics as a CSV file that a resumed run carries on."""

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.files import write_text


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Carry on with the file that is there, where Lightning would delete it."""
        with suppress(FileNotFoundError), open(self.metrics_file_path, newline="") as file:
            self.metrics_keys = next(csv.reader(file), [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Put new columns in, whole or not at all: Lightning would empty the file first."""
        path = Path(self.metrics_file_path)
        write_text(path, _text(fieldnames, _rows(path)))


class MetricsCSV(CSVLogger):
    """Writes ``metrics.csv`` into the run folder, one row per step at which something was logged.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder.parent.parent, name=folder.parent.name, version=folder.name)
        self.folder = folder
        self._kept: set[tuple[int | None, frozenset[str]]] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer."""
        if self._experiment is None:
            self._experiment = _Writer(log_dir=str(self.folder))
        return cast(ExperimentWriter, self._experiment)

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Add a row, unless it is there already."""
        if (step, frozenset(metrics)) not in self._kept:
            super().log_metrics(metrics, step)

    @rank_zero_only
    def resume(self, steps: int) -> None:
        """Go on after ``steps`` optimizer steps: drop the rows of later ones, which come again.

        Of the last of those steps some rows come again too, such as the loss of an epoch that was cut in its
        validation; they are not added a second time. Rows are numbered by the steps before theirs, from 0.
        """
        path = self.folder / ExperimentWriter.NAME_METRICS_FILE
        rows = _rows(path)
        if not rows:
            return
        kept = [row for row in rows if int(row["step"] or 0) < steps]
        write_text(path, _text(list(rows[0]), kept))
        last = (row for row in kept if int(row["step"] or 0) == steps - 1)
        self._kept = {(steps - 1, frozenset(name for name in row if row[name] and name != "step")) for row in last}


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _text(columns: list[str], rows: list[dict[str, str]]) -> str:
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, fieldnames=columns)
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()
