"""Bringing images of any size to the size of the network."""

from __future__ import annotations

from typing import Literal

import numpy as np

ResizeMode = Literal["stretch", "crop", "pad"]


class Resize:
    """Resizes by area averaging when shrinking and linearly when enlarging.

    Args:
        size: height and width.
        mode: ``stretch`` ignores the aspect ratio; ``crop`` keeps it and cuts the middle out; ``pad`` keeps it, shrinks
            what is too large, never enlarges, and puts the image in the middle of zeros.
    """

    def __init__(self, size: tuple[int, int], mode: ResizeMode) -> None:
        self.size, self.mode = size, mode

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Resize (H, W) or (H, W, C), uint8 or float32."""
        if image.shape[:2] == self.size:
            return image
        if self.mode == "stretch":
            return _scale(image, self.size)
        (height, width), (to_height, to_width) = image.shape[:2], self.size
        ratios = to_height / height, to_width / width
        ratio = max(ratios) if self.mode == "crop" else min(1.0, *ratios)
        image = _scale(image, (max(1, round(height * ratio)), max(1, round(width * ratio))))
        top, left = (image.shape[0] - to_height) // 2, (image.shape[1] - to_width) // 2
        if self.mode == "crop":
            return image[top : top + to_height, left : left + to_width]
        canvas = np.zeros((*self.size, *image.shape[2:]), dtype=image.dtype)
        canvas[-top : -top + image.shape[0], -left : -left + image.shape[1]] = image
        return canvas


def _scale(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), size[::-1], interpolation=method)
