"""Figures and thumbnails as PNG files in memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.planes import three_planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 144
SIDE = 112
"""Pixels that the longer side of a thumbnail has at most."""


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG file that does not say when it was made."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def thumbnail(image: np.ndarray) -> bytes:
    """A small PNG file of an image, without anything that its own file says of it.

    Args:
        image: (H, W), (H, W, 3) or, of volumes, (D, H, W), uint8 or float in [0, 1].
    """
    from PIL import Image

    if image.ndim == 3 and image.shape[-1] not in (1, 3):
        image = three_planes(image)
    grey = image.squeeze(-1) if image.ndim == 3 and image.shape[-1] == 1 else image
    pixels = grey if grey.dtype == np.uint8 else (np.clip(grey.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = SIDE / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    content = io.BytesIO()
    picture.resize((size[0], size[1]), smooth).save(content, format="PNG", optimize=True)
    return content.getvalue()
