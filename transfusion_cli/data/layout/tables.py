"""Reading tables, with errors that name the file, the column and the row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.layout.csv_dialect import csv_dialect
from transfusion_cli.data.layout.tree import some
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_WHOLE, _POINT = re.compile(r"([+-]?\d+([.,]0*)?)?"), re.compile(r"[.,]0*$")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file as text, each cell as it is written: ``007`` is no number and ``None`` is not blank.

    A cell is blank (missing, for pandas) where it is empty, holds only spaces, or is a null of Parquet; rows of blank
    cells are left out. Spaces around cells and column names are cut off. CSV may have semicolons or tabs in place of
    commas, and be UTF-8, or UTF-16 with a byte-order mark, as spreadsheets write it. Of Parquet's own types, whole
    numbers are written without a decimal point and truth values as 1 and 0.

    Raises:
        UserError: missing, or not such a file.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"Table not found: {path}")
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path).apply(_as_written)
        else:
            as_text: dict[str, Any] = {"dtype": "str", "keep_default_na": False, "na_values": [""]}
            frame = _surplus_cut(pd.read_csv(path, low_memory=False, **as_text, **csv_dialect(path)))
    except UnicodeDecodeError as error:
        raise UserError(
            f'The table {path} is not UTF-8 text\n{error.reason} at byte {error.start}\nSave it anew as "CSV UTF-8"'
        ) from error
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors, pyarrow's both
        raise UserError(f"Cannot read the table {path}\n{str(error).splitlines()[0]}") from error
    frame.columns = frame.columns.astype("str").str.strip()
    if frame.columns.has_duplicates:
        raise UserError(f"Two columns are called {frame.columns[frame.columns.duplicated()][0]!r}\nin {path}")
    return frame.apply(_without_spaces).dropna(how="all", ignore_index=True)


def numbers(column: pd.Series) -> np.ndarray:
    """A column of text as numbers, float64 (N,); NaN where it is blank or no number."""
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)


def require_columns(
    frame: pd.DataFrame, columns: Iterable[str], path: Path, flag: str = "", looks: Sequence[str] = ()
) -> None:
    """Fail if a column is missing, naming what may be meant and the flag that names the column.

    That is the column of the nearest name, or else those that look like one, or else all that there are.
    """
    for column in columns:
        if column not in frame.columns:
            otherwise = f"{some(looks, 5)} {'looks' if len(looks) == 1 else 'look'} like one" if looks else None
            advice = did_you_mean(column, frame.columns, otherwise) + (f" ({flag})" if flag else "")
            raise UserError(f"No column {column!r}\nin {path}\n{advice}")


def refuse(
    bad: np.ndarray, values: Iterable[object], column: str, path: Path, allowed: str, what: str = "Unknown value"
) -> None:
    """Fail if any row is ``bad``, naming the first by its line in the file (the header is line 1)."""
    if bad.any():
        row = int(bad.argmax())
        value = list(values)[row]
        is_blank = value == "" or value != value  # NaN alone differs from itself
        text = str(value)  # without numpy's type
        cell = "Blank cell" if is_blank else f"{what} {text if _NUMBER.fullmatch(text) else repr(text)}"
        raise UserError(
            f"{cell} in column {column!r}, row {row + 2} ({int(bad.sum())} such rows)\nin {path}\nAllowed: {allowed}"
        )


def codes(frame: pd.DataFrame, column: str, path: Path, known: Iterable[int], allowed: str) -> np.ndarray:
    """A column of known numbers, float64 (N,), NaN where it is blank.

    Raises:
        UserError: any other value, by its row.
    """
    values = numbers(frame[column])
    bad = ~np.isin(values, list(known)) & ~frame[column].isna().to_numpy()
    refuse(bad, frame[column], column, path, allowed)
    return values


def by_name(tables: Sequence[tuple[pd.DataFrame, pd.Series]], names: np.ndarray) -> pd.DataFrame:
    """The rows that tables have of some names, in that order; blank cells where no table has one.

    Args:
        tables: each with the name that each of its rows is about; of several rows of a name the first counts.
        names: texts (n,).
    """
    import pandas as pd

    known = pd.concat([table.set_axis(about.astype("str"), axis=0) for table, about in tables])
    return known[~known.index.duplicated()].reindex(names.astype(object)).reset_index(drop=True)


def _surplus_cut(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table where rows end in commas that the header lacks: pandas takes the first cells for an index then."""
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex):
        return frame
    names, surplus = frame.columns, frame.index.nlevels
    frame = frame.reset_index()
    if frame.iloc[:, -surplus:].notna().any(axis=None):
        raise ValueError("its rows have more cells than its header")
    return frame.iloc[:, :-surplus].set_axis(names, axis=1)


def _as_written(column: pd.Series) -> pd.Series:
    """A column of Parquet as text."""
    import pandas as pd

    types, known = pd.api.types, column.notna()
    if types.is_string_dtype(column):
        return column
    if types.is_bool_dtype(column) or (types.is_float_dtype(column) and (column[known] % 1 == 0).all()):
        column = column.astype("Int64")
    return column.astype("string").astype("object").where(known, np.nan)


def _without_spaces(column: pd.Series) -> pd.Series:
    text = column.str.strip()
    return text.where(text.str.len() > 0)


def without_point(texts: list[str]) -> list[str]:
    """Whole numbers without a decimal point, where all texts are such.

    ``1.0``, or ``1,0`` where the comma is the decimal point, is how a column with blanks says 1.
    """
    return [_POINT.sub("", text) for text in texts] if all(_WHOLE.fullmatch(text) for text in texts) else texts
