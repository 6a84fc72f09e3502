"""Metrics as a CSV file that a resumed run carries on."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.errors import Fault, UserError
from transfusion_cli.files import append, write_text

log = logging.getLogger(__name__)


class _Writer(ExperimentWriter):
    """Adds rows to the file that is there; rows that cannot be written are tried again with the next ones."""

    is_told = False

    def _check_log_dir_exists(self) -> None:
        """Carry on with the file that is there, where Lightning would delete it."""
        self.metrics_keys = list(next(iter(_rows(Path(self.metrics_file_path))), {}))

    def save(self) -> None:
        """Write the rows that wait, and say so the first time that they cannot be written."""
        path, known = Path(self.metrics_file_path), self.metrics_keys
        if not self.metrics:
            return
        keys = sorted({*known}.union(*self.metrics))
        try:
            if keys == known and path.is_file():
                append(path, _text(keys, self.metrics, header=False).encode())
            else:
                write_text(path, _text(keys, [*_rows(path), *self.metrics]))
        except Fault as fault:
            if not self.is_told:
                log.warning("%s\nThe run goes on; its metrics wait for room.", fault.what)
            self.is_told = True
        else:
            self.metrics, self.metrics_keys = [], keys


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

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """They are in ``config.yaml``."""

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
        kept = [row for row in rows if _step(row) < steps]
        write_text(path, _text(list(rows[0]), kept))
        last = (row for row in kept if _step(row) == steps - 1)
        self._kept = {(steps - 1, frozenset(name for name in row if row[name] and name != "step")) for row in last}


def _step(row: dict[str, str]) -> int:
    return int(row["step"] or 0)


def _text(keys: list[str], rows: Sequence[Mapping[str, Any]], header: bool = True) -> str:
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, fieldnames=keys)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of the file; without its last one where that was cut off.

    Raises:
        UserError: it is no table of metrics.
    """
    if not path.is_file():
        return []
    try:
        whole, newline, _ = path.read_text(encoding="utf-8").replace("\r\n", "\n").rpartition("\n")
        rows = list(csv.DictReader(io.StringIO(whole + newline), strict=True))
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values() or not (row["step"] or "0").isdigit():
                raise ValueError(f"line {number} is not as it was written")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The metrics of the run cannot be gone on with: {path} ({reason})\n"
            "Mend it, or move it to another name: the run goes on with a new one."
        ) from error
    return rows
