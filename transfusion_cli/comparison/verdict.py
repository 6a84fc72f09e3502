"""What may be said of a difference, in one sentence."""

from transfusion_cli.metrics.difference import Difference

LEVEL = 0.05
"""Of the tests."""


def verdict(first: str, second: str, found: Difference, adjusted: float, margin: float) -> str:
    """A sentence for a paper: better, equal within the margin, not worse by more than it, or not shown to differ.

    Better is said by the adjusted p; the rest by where the 95 % interval lies, which for the claims about the margin is
    stricter than the usual one-sided tests at 5 %.

    Args:
        first: name of the first group.
        second: name of the second.
        found: first minus second.
        adjusted: p, adjusted for all comparisons.
        margin: a difference that would not matter.
    """
    if found.why:
        return f"{first} and {second}: {found.why} to tell."
    better, worse = (first, second) if found.value >= 0 else (second, first)
    low, high = (found.low, found.high) if found.value >= 0 else (-found.high, -found.low)
    size = f"{abs(found.value):.3f} ({low:.3f} to {high:.3f})"
    within = -margin < low and high < margin
    if adjusted < LEVEL:
        return f"{better} is better than {worse} by {size}{f', within {margin:g}' if within else ''}."
    if within:
        return f"{better} and {worse} are within {margin:g} of each other: {size}."
    if low > -margin:
        return f"{better} is not shown to differ from {worse}, and not worse by more than {margin:g}: {size}."
    return f"{better} and {worse} are not shown to differ: {size}."
