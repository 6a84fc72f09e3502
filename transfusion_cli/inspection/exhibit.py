"""One sample on a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Exhibit:
    """One sample: as read, as the network gets it, and as training changes it in its first epochs.

    Args:
        row: row in the sample table.
        images: from left to right; (H, W), (H, W, 3) or (D, H, W), uint8 or float in [0, 1].
        labels: what it shows, a line each.
        facts: its size and kind.
        reason: why it cannot be read; its images are crosses then.
    """

    row: int
    images: list[np.ndarray]
    labels: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    reason: str = ""


def cross(size: tuple[int, ...]) -> np.ndarray:
    """What stands for an image that is not there."""
    import cv2

    (height, width), image = size, np.full(size, 235, np.uint8)
    for ends in (((0, 0), (width, height)), ((0, height), (width, 0))):
        cv2.line(image, *ends, color=120, thickness=max(1, min(size) // 60))
    return image


def reason_of(error: Exception) -> str:
    """What a reader complained of, in two lines."""
    return "\n".join(str(error).splitlines()[:2]) or type(error).__name__
