"""Cutting the white margins off images before they are resized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrimBorders:
    """Cuts off rows and columns at the edges of an image that are white nearly throughout; white inside stays.

    Args:
        white: share of full intensity from which a pixel counts as white: JPEG blurs the edge of a margin.
        specks: share of darker pixels that a row or column of the margin may have.
    """

    white: float = 0.9
    specks: float = 0.02

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Trim (H, W) or (H, W, C), uint8 or float32 in [0, 1]; an image that is white all over stays as it is."""
        darkest = image.min(axis=2) if image.ndim == 3 else image
        dark = darkest < self.white * (255 if image.dtype == np.uint8 else 1)
        rows = _inside(dark.mean(axis=1) > self.specks)
        # Without the margins above and below, which would thin out the content of a column.
        columns = _inside(dark[rows].mean(axis=0) > self.specks)
        return image[rows, columns]


def _inside(kept: np.ndarray) -> slice:
    """From the first to the last place that is kept; everything where none is."""
    places = np.flatnonzero(kept)
    return slice(places[0], places[-1] + 1) if len(places) else slice(None)
