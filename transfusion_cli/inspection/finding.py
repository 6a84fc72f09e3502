"""One thing found out about the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
"""``error``: results would be wrong; ``warning``: look at it; ``note``: good to know."""

LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""The gravest first."""

SHOWN = 3
"""Names that a message gives as examples."""


@dataclass(frozen=True)
class Finding:
    """What was found, how grave it is, and what to do next.

    Args:
        level: how grave.
        kind: one word, or a few joined by hyphens, for programs.
        message: what was found, with numbers and a few names.
        advice: the next thing to do; empty where there is nothing.
        details: numbers for the JSON report.
    """

    level: Level
    kind: str
    message: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def examples(names: Any) -> str:
    """The first few names, and that there are more: ``a, b, c, ...``."""
    shown = [str(name) for name in names[:SHOWN]]
    return ", ".join(shown) + (", ..." if len(names) > SHOWN else "")
