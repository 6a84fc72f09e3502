"""The nearest valid name to a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(wrong: str, names: Iterable[str], otherwise: str | None = None) -> str:
    """One line that leads on from a wrong name.

    Args:
        wrong: what the user typed.
        names: what would have been right.
        otherwise: the line when nothing is near; the sorted names when None.
    """
    by_lower = {name.lower(): name for name in sorted(names)}
    near = get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    near = near or [name for name in by_lower if len(wrong) >= 3 and name.startswith(wrong.lower())][:1]
    if near:
        return f"Did you mean {by_lower[near[0]]}?"
    return f"Choose from: {', '.join(by_lower.values())}" if otherwise is None else otherwise
