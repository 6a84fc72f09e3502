"""Tables of what was found, for figures and for the terminal."""

from pandas import DataFrame


def text(table: DataFrame) -> str:
    """A table as indented lines, without the names of its axes."""
    table.index.name = table.columns.name = None
    table.index = [f"{name}  " for name in table.index]
    return "\n".join(f"  {line}" for line in table.to_string().splitlines())
