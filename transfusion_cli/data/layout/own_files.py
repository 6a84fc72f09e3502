"""The user's own images, wherever they lie: what a table says of them, and where their files are."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfusion_cli.data.layout.find_files import as_written, find_files
from transfusion_cli.data.layout.image_index import ImageIndex, index_table, patients_from_paths
from transfusion_cli.data.layout.patient_column import NO_PATIENTS, advice
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnFiles:
    """Where a user says that images are, and how patients and splits are told.

    Args:
        root: folder that paths start from, or None for that of the table.
        table: CSV or Parquet file, by itself or relative to ``root``; None where folders tell.
        image_column: column with the images; None takes the one whose name says so.
        split_column: column with the split; None takes ``split`` where there is one.
        patient_column: column with the patient, ``none``, or None to look for one.
        patient_pattern: regular expression that finds the patient in the path.

    Raises:
        UserError: column and pattern both tell the patients.
    """

    root: Path | None
    table: Path | None
    image_column: str | None
    split_column: str | None
    patient_column: str | None
    patient_pattern: str | None

    def __post_init__(self) -> None:
        if self.patient_pattern is not None and (self.patient_column or NO_PATIENTS).lower() != NO_PATIENTS:
            raise UserError(
                f"patient_column {self.patient_column!r} and patient_pattern {self.patient_pattern!r} both tell the "
                "patients\nGive one of them."
            )

    @property
    def file(self) -> Path:
        """The table's file."""
        assert self.table is not None
        below_root = None if self.root is None else self.root / self.table
        return below_root if below_root is not None and below_root.is_file() else self.table

    @property
    def folder(self) -> Path:
        """``root``, or without it the folder of the table."""
        folder = self.root if self.table is None or self.root is not None else self.file.parent
        assert folder is not None
        return folder

    def index(self, labels: list[str]) -> ImageIndex:
        """What the table says.

        Raises:
            UserError: as ``index_table``.
        """
        patient = self.patient_column if self.patient_pattern is None else NO_PATIENTS
        return index_table(self.file, self.image_column, labels, self.split_column, patient)

    def find_patients(self, index: ImageIndex, hint: str = "") -> None:
        """Take patients from paths if that is asked for; say so where none are known, with a hint in place of ours."""
        if self.patient_pattern is not None:
            index.patients = patients_from_paths(index, self.patient_pattern)
        if index.patients is None and (self.patient_column or "").lower() != NO_PATIENTS:
            what = "No patients are known for %s: splits and intervals are by image\n%s"
            log.warning(what, index.source, hint or advice(index.lookalikes))

    def find(self, names: np.ndarray, source: Path, what: str = "images") -> np.ndarray:
        """File of each name relative to ``folder``, also where a table does not name it exactly (N,)."""
        if self.table is None or as_written(self.folder, names):
            return names
        there = find_files(self.folder, names)
        if there.found.any():
            text = f"{what}: %s of %s that %s names are found below %s, for example %s as %s"
            numbers = f"{there.found.sum():,}", f"{len(names):,}"
            log.info(text, *numbers, source, self.folder, *there.example)
        return there.paths
