"""From the values of a source to the brightness of an image."""

from __future__ import annotations

import math

import numpy as np

from transfusion_cli.errors import UserError

Window = tuple[float, float]
"""Centre and width of the range of source values shown from black to white."""


def check_window(window: Window) -> None:
    """Fail if a window shows nothing.

    Raises:
        UserError: a width that is not above 0, or what is no number.
    """
    if not (window[1] > 0 and all(map(math.isfinite, window))):
        raise UserError(
            f"window must be a centre and a width above 0, got [{window[0]:g}, {window[1]:g}]\n"
            'For values from 0 to 4095: --data.window "[2047.5, 4095]"'
        )


def scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low..high to 0..1, float32, values outside clipped.

    Raises:
        ValueError: a value is NaN or infinite: clipped, nobody would see it any more.
    """
    require_finite(values)
    span = max(float(high) - float(low), 1e-12)
    return np.asarray(np.clip((values.astype(np.float32) - np.float32(low)) / np.float32(span), 0, 1))


def require_finite(values: np.ndarray) -> None:
    """Fail where there is something that is no value.

    Raises:
        ValueError: pixels are NaN or infinite.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values)):,} of its pixels are NaN or infinite")
