"""Bringing images and volumes of any size to the size of the network."""

from __future__ import annotations

from typing import Literal

import numpy as np

ResizeMode = Literal["stretch", "crop", "pad"]


class Resize:
    """Resizes by area averaging when shrinking and linearly when enlarging.

    Args:
        size: height and width, or depth, height and width.
        mode: ``stretch`` ignores the aspect ratio; ``crop`` keeps it and cuts the middle out; ``pad`` keeps it, shrinks
            what is too large, never enlarges, and puts the image in the middle of zeros.
    """

    def __init__(self, size: tuple[int, ...], mode: ResizeMode) -> None:
        self.size, self.mode = size, mode

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Resize (H, W) or (H, W, C), or a volume (D, H, W), uint8 or float32."""
        sides = image.shape[: len(self.size)]
        if sides == self.size:
            return image
        if self.mode == "stretch":
            return _scale(image, self.size)
        ratios = [to / side for to, side in zip(self.size, sides, strict=True)]
        ratio = max(ratios) if self.mode == "crop" else min(1.0, *ratios)
        image = _scale(image, tuple(max(1, round(side * ratio)) for side in sides))
        first = [(side - to) // 2 for side, to in zip(image.shape, self.size, strict=False)]
        if self.mode == "crop":
            return image[tuple(slice(start, start + to) for start, to in zip(first, self.size, strict=True))]
        canvas = np.zeros((*self.size, *image.shape[len(self.size) :]), dtype=image.dtype)
        canvas[tuple(slice(-start, -start + side) for start, side in zip(first, image.shape, strict=False))] = image
        return canvas


def _scale(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    import cv2

    if image.shape[: len(size)] == size:
        return image
    if len(size) == 3:
        return _scale_volume(image, size)
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), size[::-1], interpolation=method)


def _scale_volume(volume: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize (D, H, W) plane by plane, first across the depth, then along it; rounded once, at the end."""
    slices = np.stack([_scale(plane, size[1:]) for plane in volume.astype(np.float32)], axis=1)
    scaled = np.stack([_scale(plane, (size[0], size[2])) for plane in slices], axis=1)
    return np.rint(scaled).astype(np.uint8) if volume.dtype == np.uint8 else scaled
