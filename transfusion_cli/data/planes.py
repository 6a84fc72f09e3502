"""What can be shown of a volume on paper."""

from collections.abc import Sequence

import numpy as np


def three_planes(volume: np.ndarray) -> np.ndarray:
    """The middle slices of a volume (D, H, W) across each of its axes, the first axis first, side by side."""
    return side_by_side([volume.take(side // 2, axis) for axis, side in enumerate(volume.shape)])


def side_by_side(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures (H, W) or (H, W, 3) from left to right, zero below those that are not as high as others."""
    high, wide = max(len(plane) for plane in planes), sum(plane.shape[1] for plane in planes)
    picture = np.zeros((high, wide, *planes[0].shape[2:]), planes[0].dtype)
    left = 0
    for plane in planes:
        picture[: len(plane), left : left + plane.shape[1]] = plane
        left += plane.shape[1]
    return picture
