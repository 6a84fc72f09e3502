"""What pictures share: colours, and masks painted over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.targets import IGNORE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart by the colour-blind; yellow is left out, too faint for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

OPACITY = 0.65


def palette_of(classes: int) -> np.ndarray:
    """Colours (256, 3) of the labels of a mask: black for background, grey for what is ignored."""
    from matplotlib.colors import to_rgb

    table = np.zeros((256, 3))
    table[1 : classes + 1] = [to_rgb(COLORS[number % (len(COLORS) - 1)]) for number in range(classes)]
    table[IGNORE] = 0.5
    return table


def as_grey(image: Tensor) -> np.ndarray:
    """Float (*S) or (*S, 3) in [0, 1]: three channels of a picture are colours, of anything else the first is shown.

    Args:
        image: (C, *S); what is not uint8 is shown between its percentiles 0.5 and 99.5.
    """
    if len(image) == 3 and image.ndim == 3:
        shown = image.permute(1, 2, 0).numpy().astype(np.float64)
    else:
        shown = image[0].numpy().astype(np.float64)
    if image.dtype == torch.uint8:
        return shown / 255
    low, high = np.percentile(shown, (0.5, 99.5)) if shown.size else (0, 1)
    return np.asarray(np.clip((shown - low) / max(high - low, 1e-6), 0, 1))


def fullest(mark: np.ndarray, axis: int) -> int:
    """The slice along an axis that holds most of a mask (D, H, W); the middle one where it is empty."""
    counts = (mark > 0).sum(axis=tuple(other for other in range(3) if other != axis))
    return int(counts.argmax()) if counts.any() else len(counts) // 2


def resized(picture: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A slice (h, w) or (h, w, 3) as colours (H, W, 3), in the grid of its mask."""
    colours = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    if colours.shape[:2] == tuple(shape):
        return colours
    tensor = torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1)[None]
    larger = F.interpolate(tensor, size=tuple(shape), mode="bilinear", align_corners=False)
    return np.asarray(larger[0].permute(1, 2, 0))


def painted(base: np.ndarray, mark: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) with a mask uint8 (H, W) over them."""
    mixed = (1 - OPACITY) * base + OPACITY * palette[mark]
    return np.asarray(np.where((mark > 0)[..., None], mixed, base))


def key(figure: Figure, class_names: Sequence[str], palette: np.ndarray, font: float) -> None:
    """Tell below a figure which colour is which class."""
    from matplotlib.patches import Patch

    names = list(class_names)[:12]
    patches = [Patch(color=palette[number], label=name) for number, name in enumerate(names, start=1)]
    figure.legend(handles=patches, loc="outside lower center", ncols=6, fontsize=font, frameon=False)
