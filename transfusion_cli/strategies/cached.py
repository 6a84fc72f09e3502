"""How a phase trains a head on features that are computed once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cached:
    """Features of a network whose head alone trains, computed once.

    Args:
        folder: where they are kept; None for the folder that all runs share.
        views: augmented views of each training image; 0 for images that are not augmented.
        l2: penalties under which the head is fitted, one in each epoch; none where it trains by gradients.
    """

    folder: str | None = None
    views: int = 0
    l2: tuple[float, ...] = ()
