"""Intensities whose numbers mean the same in every image, such as Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIDDLE, SPREAD = 0.5, 0.25
"""Mean and standard deviation that z-scores are given: pretrained weights were made with such values, from 0 to 1."""


@dataclass(frozen=True)
class Intensity:
    """Clip, then subtract, then divide.

    Args:
        low: what is less becomes this.
        high: what is more becomes this.
        mean: subtracted.
        std: divided by.
    """

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def window(cls, low: float, high: float) -> Intensity:
        """To 0 for ``low`` and less, to 1 for ``high`` and more."""
        return cls(low, high, low, high - low)

    @classmethod
    def standard(cls, low: float, high: float, mean: float, std: float) -> Intensity:
        """To mean ``MIDDLE`` and standard deviation ``SPREAD``, from those within ``low`` and ``high``."""
        return cls(low, high, mean - MIDDLE / SPREAD * std, std / SPREAD)

    @property
    def least(self) -> float:
        """The least value that comes out."""
        return (self.low - self.mean) / self.std

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Apply it to float32 values, in place."""
        np.clip(values, self.low, self.high, out=values)
        values -= np.float32(self.mean)
        values /= np.float32(self.std)
        return values


def standardised(values: np.ndarray) -> np.ndarray:
    """Z-score of an image (D, H, W) by what is not zero in it, about ``MIDDLE``; changed in place."""
    seen = values[values != 0]
    seen = seen if len(seen) else values.ravel()
    mean, std = seen.mean(dtype=np.float64), seen.std(dtype=np.float64)
    values -= np.float32(mean)
    values *= np.float32(SPREAD / max(std, 1e-8))
    values += np.float32(MIDDLE)
    return values
