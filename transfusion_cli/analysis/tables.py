"""Tables of what was found, for figures and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(rows: Sequence[dict[str, Any]]) -> DataFrame:
    """Rows as a pandas table."""
    from pandas import DataFrame

    return DataFrame(rows)


def text(table: DataFrame) -> str:
    """A table as indented lines, without the names of its axes."""
    table.index.name = table.columns.name = None
    table.index = [f"{name}  " for name in table.index]
    return "\n".join(f"  {line}" for line in table.to_string().splitlines())
