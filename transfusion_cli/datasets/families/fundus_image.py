"""Preparing photographs of the retina: the disc cut out, its local average taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_SEARCH_SIDE = 256
"""Larger images are thinned out to about this many pixels a side to look for the disc."""


class Disc(NamedTuple):
    """Where the retina is seen, in pixels; the centre may lie anywhere, the rim outside of the image."""

    y: float
    x: float
    radius: float


@dataclass(frozen=True)
class FundusProcess:
    """Cuts a retinal photograph to its bright disc and evens out its brightness; gives back what it cannot understand.

    Args:
        circle_crop: cut to the square around the disc, whose side is the disc's diameter; where the camera cut the disc
            off, the square is filled up with black, so that the disc is as large in every image.
        local_average: width (standard deviation) of the Gaussian of the local average in units of the disc's radius.
            Each pixel becomes four times its difference from the local average, on mid-grey, and everything outside of
            nine tenths of the radius mid-grey (B. Graham's report on the Kaggle competition of 2015, which has 1/30).
            None leaves the colours as they are.
        diameter: shrink the disc to so many pixels before the local average is taken, which costs less then.
    """

    circle_crop: bool = True
    local_average: float | None = None
    diameter: int = 600

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Prepare one image, (H, W) or (H, W, 3), uint8 or float32 in [0, 1]; the type stays."""
        disc = find_disc(image)
        if self.circle_crop and disc is not None:
            image, disc = _cut(image, disc)
        if self.local_average is not None:
            height, width = image.shape[:2]
            disc = disc or Disc((height - 1) / 2, (width - 1) / 2, max(height, width) / 2)
            image, disc = _shrink(image, disc, self.diameter)
            image = _take_local_average(image, disc, self.local_average)
        return image


def find_disc(image: np.ndarray) -> Disc | None:
    """Find the bright disc on its black background; None where there is none, as in a nearly black image.

    Where the image's border cuts the disc off, its diameter is the longer side of what is left.
    """
    import cv2

    step = max(1, max(image.shape[:2]) // _SEARCH_SIDE)
    small = image[::step, ::step]
    brightness = small if small.ndim == 2 else small.max(axis=2)
    brightness = brightness if image.dtype == np.uint8 else np.rint(255 * brightness).astype(np.uint8)
    level = float(np.percentile(brightness, 98))
    if level < 10:  # nothing but the noise of the black
        return None
    # The rim is dimmer than the middle, and the black not quite black.
    bright = (cv2.medianBlur(np.ascontiguousarray(brightness), 3) > max(5, 0.15 * level)).astype(np.uint8)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if len(facts) < 2:
        return None
    disc = parts == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()
    # Rows and columns that hold a twentieth of the longest: without tabs and marks at the rim.
    spans = [_span(disc.sum(axis=1 - axis)) for axis in (0, 1)]
    diameter = max(last - first for first, last in spans)
    if diameter < min(bright.shape) / 4:  # letters, a reflex
        return None
    y, x = (_centre(*span, diameter, size) for span, size in zip(spans, bright.shape, strict=True))
    return Disc(y * step + (step - 1) / 2, x * step + (step - 1) / 2, diameter * step / 2)


def _span(counts: np.ndarray) -> tuple[int, int]:
    """First and one past the last place with enough pixels."""
    places = np.flatnonzero(counts >= max(1, counts.max() / 20))
    return int(places[0]), int(places[-1]) + 1


def _centre(first: int, last: int, diameter: int, size: int) -> float:
    """Centre along one axis: a side at the image's border, if the other is not, is where the disc was cut off."""
    if first == 0 and last < size:
        return last - (diameter + 1) / 2
    if first > 0 and last == size:
        return first + (diameter - 1) / 2
    return (first + last - 1) / 2


def _cut(image: np.ndarray, disc: Disc) -> tuple[np.ndarray, Disc]:
    """The square around the disc, black where it reaches beyond the image, and the disc in it."""
    side = max(1, round(2 * disc.radius))
    top, left = round(disc.y - (side - 1) / 2), round(disc.x - (side - 1) / 2)
    square = np.zeros((side, side, *image.shape[2:]), dtype=image.dtype)
    rows = slice(max(0, top), min(image.shape[0], top + side))
    columns = slice(max(0, left), min(image.shape[1], left + side))
    part = image[rows, columns]
    square[rows.start - top :, columns.start - left :][: part.shape[0], : part.shape[1]] = part
    return square, Disc(disc.y - top, disc.x - left, disc.radius)


def _shrink(image: np.ndarray, disc: Disc, diameter: int) -> tuple[np.ndarray, Disc]:
    import cv2

    ratio = diameter / (2 * disc.radius)
    if ratio >= 1:
        return image, disc
    height, width = (max(1, round(side * ratio)) for side in image.shape[:2])
    image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)
    return image, Disc((disc.y + 0.5) * ratio - 0.5, (disc.x + 0.5) * ratio - 0.5, disc.radius * ratio)


def _take_local_average(image: np.ndarray, disc: Disc, width: float) -> np.ndarray:
    import cv2

    top, grey = (255, 128) if image.dtype == np.uint8 else (1, 0.5)
    height, columns = image.shape[:2]
    sigma = max(width * disc.radius, 0.1)
    # A wide Gaussian is smooth enough to be taken on a smaller image: within 0.1 of 255 for 1/30 of a large disc.
    factor = max(1, int(sigma / 4))
    small = cv2.resize(image, (-(-columns // factor), -(-height // factor)), interpolation=cv2.INTER_AREA)
    average = cv2.GaussianBlur(small.astype(np.float32), (0, 0), sigma / factor)
    pixels = 4 * (image - cv2.resize(average, (columns, height), interpolation=cv2.INTER_LINEAR)) + grey
    y, x = np.ogrid[:height, :columns]
    pixels[(y - disc.y) ** 2 + (x - disc.x) ** 2 > (0.9 * disc.radius) ** 2] = grey
    pixels = np.clip(pixels, 0, top)
    return np.asarray(np.rint(pixels).astype(np.uint8) if image.dtype == np.uint8 else pixels)
