"""Reading tables, with errors that name the file, the column and the row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file.

    Raises:
        UserError: Missing, or not such a file.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"table not found: {path}")
    try:
        return pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path, low_memory=False)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors, pyarrow's both
        raise UserError(f"cannot read the table {path}\n{str(error).splitlines()[0]}") from error


def require_columns(frame: pd.DataFrame, columns: Iterable[str], path: Path) -> None:
    """Fail if a column is missing, naming the nearest one or all that there are."""
    for column in columns:
        if column not in frame.columns:
            raise UserError(f"no column {column!r}\nin {path}\n{did_you_mean(column, frame.columns)}")


def refuse(bad: np.ndarray, values: Iterable[object], column: str, path: Path, allowed: str) -> None:
    """Fail if any row is ``bad``, naming the first by its line in the file (the header is line 1)."""
    if bad.any():
        row = int(bad.argmax())
        value = list(values)[row]
        value = str(value) if isinstance(value, str) else value  # without numpy's type in the message
        raise UserError(
            f"unknown value {value!r} in column {column!r}, row {row + 2} ({int(bad.sum())} such rows)\n"
            f"in {path}\nAllowed: {allowed}"
        )
