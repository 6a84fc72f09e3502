"""Pictures of cases with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.drawing import as_grey, fullest, key, painted, palette_of, resized
from transfusion_cli.reports.figures import FONT, blank
from transfusion_cli.targets import IGNORE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = ("axial", "coronal", "sagittal")
"""Planes of a volume (D, H, W), by the axis that they cut."""


def case_figure(
    image: Tensor, truth: Tensor, labels: Tensor, box: Tensor, class_names: Sequence[str], title: str, spacing: Tensor
) -> Figure:
    """Image, truth and prediction side by side; of a volume the three planes that show most.

    Args:
        image: (C, *S), as it was read.
        truth: uint8 (*S0).
        labels: what was predicted, uint8 (*S0).
        box: where the image lies in the masks' grid (dims, 2).
        class_names: of the labels from 1 on.
        title: of the whole.
        spacing: of the masks' grid (dims,), so that planes keep their shape.
    """
    planes = range(1) if truth.ndim == 2 else range(3)
    inside = tuple(slice(*ends) for ends in box.tolist())
    marks = [np.where(mask == IGNORE, 0, mask) for mask in (truth[inside].numpy(), labels[inside].numpy())]
    palette = palette_of(max(len(class_names), *(int(mark.max(initial=0)) for mark in marks)))
    grey = as_grey(image)
    figure = blank(8.4, 0.7 + 2.8 * len(planes))
    for row, axis in enumerate(planes):
        picture, slices, shape = grey, marks, spacing
        if truth.ndim == 3:
            at = fullest(marks[0] if marks[0].any() else marks[1], axis)
            own = min(grey.shape[axis] - 1, int((at + 0.5) * grey.shape[axis] / marks[0].shape[axis]))
            picture, slices = grey.take(own, axis), [mark.take(at, axis) for mark in marks]
            shape = torch.cat([spacing[:axis], spacing[axis + 1 :]])
        base = resized(picture, slices[0].shape)
        for column, (name, mark) in enumerate(zip(("image", "truth", "prediction"), (None, *slices), strict=True)):
            axes = figure.add_subplot(len(planes), 3, 3 * row + column + 1)
            shown = base if mark is None else painted(base, mark, palette)
            axes.imshow(shown, aspect=float(shape[0] / shape[1]), interpolation="nearest")
            axes.set_title(name if truth.ndim == 2 else f"{name}, {AXES[axis]}", fontsize=FONT)
            axes.set_axis_off()
    figure.suptitle(title, fontsize=FONT)
    key(figure, class_names, palette, FONT - 1)
    return figure


def patch_figure(images: Tensor, targets: Tensor, class_names: Sequence[str], columns: int = 8) -> Figure:
    """Training patches as the network sees them, each above its mask; of volumes the slice that shows most.

    Args:
        images: (B, C, *P) in [0, 1].
        targets: uint8 (B, *P).
        class_names: of the labels from 1 on.
        columns: patches in a row.
    """
    rows = -(-len(images) // columns)
    palette = palette_of(max(len(class_names), 1))
    figure = blank(1.4 * columns, 0.5 + 2.9 * rows)
    for place, (image, target) in enumerate(zip(images, targets, strict=True)):
        grey, mark = as_grey(image), target.numpy()
        if mark.ndim == 3:
            at = fullest(np.where(mark == IGNORE, 0, mark), 0)
            grey, mark = grey[at], mark[at]
        base = resized(grey, mark.shape)
        for part, shown in enumerate((base, painted(base, mark, palette))):
            row = 2 * (place // columns) + part
            axes = figure.add_subplot(2 * rows, columns, row * columns + place % columns + 1)
            axes.imshow(shown, interpolation="nearest")
            axes.set_axis_off()
    key(figure, class_names, palette, FONT - 1)
    return figure


def overlay(image: Tensor, labels: Tensor, box: Tensor, classes: int) -> np.ndarray:
    """An image with what was predicted painted over it, uint8 (H, W, 3); of a volume the slice that shows most."""
    inside = tuple(slice(*ends) for ends in box.tolist())
    grey, mark = as_grey(image), labels[inside].numpy()
    if mark.ndim == 3:
        at = fullest(mark, 0)
        grey, mark = grey[min(len(grey) - 1, int((at + 0.5) * len(grey) / len(mark)))], mark[at]
    picture = 255 * painted(resized(grey, mark.shape), mark, palette_of(classes))
    return np.asarray(np.rint(picture).astype(np.uint8))
