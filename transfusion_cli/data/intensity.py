"""From the values of a source to the brightness of an image."""

from __future__ import annotations

import numpy as np

Window = tuple[float, float]
"""Centre and width of the range of source values shown from black to white."""


def scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low..high to 0..1, float32, values outside clipped."""
    span = max(float(high) - float(low), 1e-12)
    return np.clip((values.astype(np.float32) - np.float32(low)) / np.float32(span), 0, 1)
