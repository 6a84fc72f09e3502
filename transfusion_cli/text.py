"""Tables in plain text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """A line for each row, its cells in columns as wide as they need; all but the first to the right if ``numbers``."""
    sides = ("<", *(">" if numbers else "<") * len(rows[0]))
    columns = zip(sides, zip(*rows, strict=True), strict=False)
    line = "  ".join(f"{{:{side}{max(map(len, column))}}}" for side, column in columns)
    return [line.format(*row).rstrip() for row in rows]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first row holds its titles; columns with nothing else in them are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    rules = ["-" * max(map(len, column)) for column in columns]
    titles, *rest = zip(*columns, strict=True)
    return aligned([titles, rules, *rest])
