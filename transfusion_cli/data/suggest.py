"""The nearest valid name, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, names: Iterable[object]) -> str:
    """End of a message: the nearest of ``names``, or all of them where none is near."""
    known = [str(known) for known in names]
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(str(name).lower(), by_lower, n=1)
    if near:
        return f"Did you mean {by_lower[near[0]]}?"
    return f"Choose from: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}"
