"""Moving, turning and scaling images without edges that no image has.

Configs name its class by its path, so that stays.
"""

from __future__ import annotations

from typing import Any

import albumentations
import cv2
import numpy as np


class Placement(albumentations.Affine):
    """Affine that fills what comes into view as the image would go on: black where its corners are, mirrored elsewhere.

    A mirrored edge of a slide, or of a chest that fills the frame, is more of the same. A round field (fundus,
    endoscope) or an X-ray on black has nothing beyond it: mirrored, there would be slivers of a second one. Black in
    the corners of a bright image would be an edge that tells how it was turned, and that no test image has.

    Takes the arguments of ``Affine``; ``border_mode`` and ``fill`` have no effect.
    """

    BLACK = 0.06
    """Share of full brightness that the mean of a corner lies under where it is black: JPEG leaves it some noise."""

    CORNER = 1 / 28
    """Side of a corner as a share of the image's."""

    def apply(self, img: np.ndarray, matrix: np.ndarray, output_shape: tuple[int, int], **params: Any) -> np.ndarray:
        """Transform one image."""
        self.border_mode = cv2.BORDER_CONSTANT if self._lies_in_black(img) else cv2.BORDER_REFLECT_101
        return np.asarray(super().apply(img, matrix=matrix, output_shape=output_shape, **params))

    def _lies_in_black(self, image: np.ndarray) -> bool:
        height, width = (max(1, round(side * self.CORNER)) for side in image.shape[:2])
        corners = [image[rows, columns] for rows in _ends(height) for columns in _ends(width)]
        full = 255 if image.dtype == np.uint8 else 1
        return all(corner.mean() < self.BLACK * full for corner in corners)


def _ends(length: int) -> tuple[slice, slice]:
    return slice(length), slice(-length, None)
