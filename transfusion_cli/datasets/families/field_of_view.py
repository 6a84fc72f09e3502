"""Where a photograph shows the retina, for data sets that are published without such masks."""

from __future__ import annotations

import numpy as np

RED = 20
"""Of 255: what is darker is the black around the retina (69 % of a photograph of CHASE_DB1 is brighter)."""


def field_of_view(image: np.ndarray) -> np.ndarray:
    """The largest bright part of a photograph without holes, bool (H, W); all of one that is dark everywhere.

    Args:
        image: (H, W, 3), uint8, or float32 in [0, 1].
    """
    import cv2
    from scipy.ndimage import binary_fill_holes

    bright = (image[..., 0] > (RED if image.dtype == np.uint8 else RED / 255)).astype(np.uint8)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if len(facts) < 2:
        return np.ones(bright.shape, dtype=bool)
    return np.asarray(binary_fill_holes(parts == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()))
