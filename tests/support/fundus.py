"""Drawn photographs of the retina."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_fundus(
    seed: int,
    size: tuple[int, int] = (40, 52),
    radius: float | None = None,
    centre: tuple[float, float] | None = None,
    brightness: float = 1.0,
) -> np.ndarray:
    """A reddish disc, darker towards its rim, on a nearly black ground: uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    height, width = size
    radius = 0.45 * height if radius is None else radius
    y0, x0 = ((height - 1) / 2, (width - 1) / 2) if centre is None else centre
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - y0, x - x0) / radius
    light = np.where(distance <= 1, 1 - 0.5 * distance**2, 0.0)
    spots = 1 - 0.15 * rng.random(size)
    colour = np.array([220, 120, 60]) * brightness
    pixels = (light * spots)[..., None] * colour + rng.integers(0, 4, (*size, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def save_fundus(path: Path, seed: int, **kwargs: object) -> Path:
    """Write one under any name that Pillow knows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_fundus(seed, **kwargs)).save(path)
    return path
