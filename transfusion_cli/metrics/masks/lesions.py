"""Which lesions are found: connected parts of two masks, matched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Lesions(NamedTuple):
    """Counts of connected parts; a share of these is a precision or a recall."""

    true: int
    """Lesions of the reference."""
    predicted: int
    found: int
    """Lesions of the reference that the prediction touches."""
    right: int
    """Predicted lesions that touch the reference."""
    matched: int
    """Pairs whose intersection is more than half of their union; no lesion can be in two of them."""


def match_lesions(predicted: np.ndarray, truth: np.ndarray) -> Lesions:
    """Count the lesions of two masks, voxels that share a corner being of one (26 neighbours; 8 in 2-D).

    Args:
        predicted: bool (*S), two or three axes.
        truth: bool (*S).
    """
    from scipy.ndimage import label

    together = np.ones((3,) * truth.ndim)
    (guesses, guessed), (lesions, true) = (label(mask, together) for mask in (predicted, truth))
    both = predicted & truth
    # Pairs that meet, not a table of all: a network that has learned nothing yet predicts specks by the thousand.
    pairs, shared = np.unique(lesions[both].astype(np.int64) * (guessed + 1) + guesses[both], return_counts=True)
    lesion, guess = pairs // (guessed + 1), pairs % (guessed + 1)
    union = np.bincount(lesions[truth])[lesion] + np.bincount(guesses[predicted])[guess] - shared if len(pairs) else 0
    return Lesions(true, guessed, len(np.unique(lesion)), len(np.unique(guess)), int((2 * shared > union).sum()))
