"""Maps over their images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from transfusion_cli.drawing import as_grey, resized
from transfusion_cli.explanation.case import Case, Explained
from transfusion_cli.explanation.redrawn import LEVELS
from transfusion_cli.explanation.summary import IN_WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 2.0
"""Inches that an image takes."""

FONT = 8
OPACITY = 0.6
LINE = 5
"""Errors side by side."""


def picture_of(case: Case) -> np.ndarray:
    """Its image as colours (H, W, 3) in [0, 1]."""
    grey = as_grey(case.image)
    return resized(grey, grey.shape[:2])


def overlay(picture: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) with a map (h, w) over it, by its own maximum: where that is 0, the image shows alone."""
    from matplotlib import colormaps

    tensor = torch.from_numpy(np.asarray(cells, dtype=np.float32))[None, None]
    larger = F.interpolate(tensor, size=picture.shape[:2], mode="bilinear", align_corners=False)[0, 0].numpy()
    share = larger / top if (top := larger.max()) > 0 else larger
    colours, opacity = colormaps["inferno"](share)[..., :3], OPACITY * share[..., None]
    return np.asarray((1 - opacity) * picture + opacity * colours)


def case_figure(one: Explained) -> Figure:
    """The image, the map of what is explained, of what is true where that differs, and those of other weights."""
    picture = picture_of(one.case)
    panels = [(f"truth: {one.case.truth}", picture)]
    panels.append((f"{one.label}, p = {one.probability:.3f}", overlay(picture, one.map)))
    if one.true is not None:
        name, cells = one.true
        nothing = "" if cells.any() else ": nothing"
        panels.append((f"for {name}, the truth{nothing}", overlay(picture, cells)))
    check = len(panels)
    for level in LEVELS:
        value = one.correlation[level]
        told = f"rank correlation {value:.2f}" if math.isfinite(value) else "rank correlation undefined"
        panels.append((f"{IN_WORDS[level]}\n{told}", overlay(picture, one.redrawn[level])))
    figure = _figure(CELL * len(panels), CELL * picture.shape[0] / picture.shape[1] + 0.9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for number, (cell, (title, image)) in enumerate(zip(axes, panels, strict=True)):
        _show(cell, image)
        if number < check:
            cell.set_title(_ending(title, 34), fontsize=FONT)
        else:  # the check stands apart from what it checks
            cell.set_xlabel(title, fontsize=FONT)
    axes[check].set_title(f"{one.label}, by other weights:", fontsize=FONT, loc="left")
    figure.suptitle(" · ".join(filter(None, [_ending(one.case.id, 60), one.case.group])), fontsize=FONT + 1)
    return figure


def sheet(errors: Sequence[Explained]) -> Figure:
    """Errors by what is wrong, each as its image and the map of what was said instead.

    Args:
        errors: sorted by group.
    """
    lines = []
    for group, members in groupby(errors, key=lambda one: one.case.group):
        own = list(members)
        lines += [(group if not at else "", own[at : at + LINE]) for at in range(0, len(own), LINE)]
    width = min(LINE, max(len(own) for _, own in lines))
    pictures = {id(one): picture_of(one.case) for one in errors}
    high = max(picture.shape[0] / picture.shape[1] for picture in pictures.values())
    figure = _figure(1.1 + 1.7 * CELL * width, (0.85 * CELL * high + 0.45) * len(lines) + 0.5)
    axes = figure.subplots(len(lines), width + 1, squeeze=False, width_ratios=[0.35, *[1] * width])
    for row, (group, own) in zip(axes, lines, strict=True):
        for cell in row:
            cell.set_axis_off()
        row[0].text(0, 0.5, _broken(group), va="center", fontsize=FONT + 1, weight="bold", transform=row[0].transAxes)
        for cell, one in zip(row[1:], own, strict=False):
            cell.set_axis_on()
            picture = pictures[id(one)]
            gap = np.ones((len(picture), max(1, picture.shape[1] // 40), 3))
            _show(cell, np.concatenate([picture, gap, overlay(picture, one.map)], axis=1))
            said = f"truth: {one.case.truth}; {one.label} p = {one.probability:.3f}"
            cell.set_title(f"{_ending(one.case.id, 36)}\n{said}", fontsize=FONT)
    figure.suptitle(f"The {len(errors)} worst errors: image, and what speaks for what was said", fontsize=FONT + 3)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from transfusion_cli.figure import Figure

    layout = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05, wspace=0.02, hspace=0.04)
    return Figure(figsize=(width, height), dpi=110, layout=layout)


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(np.clip(image, 0, 1), interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.8", linewidth=0.5)


def _ending(text: str, width: int) -> str:
    """The end of long paths says more than their beginning."""
    return text if len(text) <= width else "…" + text[1 - width :]


def _broken(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 14))
