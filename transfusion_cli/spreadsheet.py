"""Texts in CSV files that people open in a spreadsheet, which takes ``=HYPERLINK(...)`` for a program to run."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_APOSTROPHE = "'"

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", _APOSTROPHE)
"""What a formula begins with (OWASP, CSV injection), and the apostrophe, so that what was put before is told apart."""


def spreadsheet_safe(values: Iterable[Any]) -> list[Any]:
    """Put an apostrophe before texts that a spreadsheet would run, and before those that begin with one themselves.

    Args:
        values: texts; anything else, as a missing value or a negative number, stays as it is.

    Returns:
        The values, of which ``spreadsheet_plain`` makes what they were.
    """
    return [_APOSTROPHE + value if isinstance(value, str) and value.startswith(_STARTS) else value for value in values]


def spreadsheet_plain(values: Iterable[Any]) -> list[Any]:
    """Take off the apostrophes that ``spreadsheet_safe`` put before texts; those of others stay."""
    return [value[1:] if _is_safe(value) else value for value in values]


def spreadsheet_frame(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A table with all its texts, those of the header too, made safe; numbers stay numbers."""
    import pandas as pd

    def safe(column: "pd.Series") -> Any:
        return column if pd.api.types.is_numeric_dtype(column) else spreadsheet_safe(column)

    names = spreadsheet_safe(frame.columns)
    return pd.DataFrame({name: safe(frame[column]) for name, column in zip(names, frame.columns, strict=True)})


def _is_safe(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_APOSTROPHE) and value[1:].startswith(_STARTS)
