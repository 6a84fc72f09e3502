"""Drawn photographs of the retina with drawn vessels."""

from pathlib import Path

import numpy as np
from PIL import Image
from support.fundus import draw_fundus

SIZE = (72, 80)


def draw_vessels(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A few dark lines: bool (H, W)."""
    rng = np.random.default_rng([seed, 1])
    y, x = np.mgrid[: size[0], : size[1]]
    lines = np.zeros(size, dtype=bool)
    for _ in range(4):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.2, 0.2) * size[0]
        across = (x - size[1] / 2) * np.cos(angle) + (y - size[0] / 2) * np.sin(angle) - offset
        lines |= np.abs(across + 2 * np.sin(x / 9)) < 1.5
    return lines


def draw_field(size: tuple[int, int] = SIZE) -> np.ndarray:
    """The disc of ``draw_fundus``: bool (H, W)."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2) <= 0.45 * size[0]


def save_retina(path: Path, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Write a photograph whose vessels are darker; gives the vessels."""
    vessels = draw_vessels(seed, size)
    pixels = draw_fundus(seed, size)
    pixels[vessels & draw_field(size)] = pixels[vessels & draw_field(size)] // 2 + 12
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return vessels


def save_mask(path: Path, mask: np.ndarray, one_bit: bool = False) -> None:
    """Write 0 and 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    (image.convert("1") if one_bit else image).save(path)
