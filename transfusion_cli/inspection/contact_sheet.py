"""A picture of some samples on their way into the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import Split
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 1.9
"""Inches that an image takes."""

FONT = 8


@dataclass
class Exhibit:
    """One sample: as read, at the size of the network, and as training changes it in its first epochs.

    Args:
        row: row in the sample table.
        images: raw, resized, then one for each epoch; (H, W) or (H, W, 3), uint8 or float in [0, 1].
        reason: why it cannot be read; its images are crosses then.
    """

    row: int
    images: list[np.ndarray]
    reason: str = ""


def choose(data: MedicalDataModule, split: Split, count: int) -> np.ndarray:
    """Draw samples of a split, of each class or label in turn, of different patients where there are enough.

    The draw depends on the seed and the split alone.

    Raises:
        UserError: the split is empty.
    """
    table = data.samples
    rows = np.random.default_rng(data.seed).permutation(table.rows(split))
    if not len(rows):
        raise UserError(f"The {split} split is empty\nTry --split train, val or test")
    has = label_matrix(table.targets[rows])
    if has.shape[1] == 1 or data.target == "multilabel":
        has = np.column_stack([~has.any(axis=1), has])  # those without any label are a class too
    chosen: list[int] = []
    patients: set[int] = set()
    columns = [column for column in range(has.shape[1]) if has[:, column].any()]
    while len(chosen) < min(count, len(rows)):
        before = len(chosen)
        for column in columns:
            left = [i for i in np.flatnonzero(has[:, column]).tolist() if i not in chosen]
            fresh = [i for i in left if table.groups[rows[i]] not in patients]
            if left and len(chosen) < count:
                chosen.append((fresh or left)[0])
                patients.add(int(table.groups[rows[chosen[-1]]]))
        if len(chosen) == before:  # only samples with unknown labels are left
            chosen += [i for i in range(len(rows)) if i not in chosen][: count - len(chosen)]
    return rows[chosen]


def exhibits(data: MedicalDataModule, rows: np.ndarray, split: Split, epochs: int) -> list[Exhibit]:
    """Read samples as training and evaluation do.

    Args:
        data: the data module.
        rows: rows of its table, all of one split.
        split: that split. Of others than ``train`` there is nothing after resizing.
        epochs: augmented versions of each.
    """
    raw = data.make_reader(split, None)
    plain = data.fixed_dataloader(split).dataset
    places = np.searchsorted(data.samples.rows(split), rows).tolist()
    trains = split == "train" and len(data.augmentation) > 0
    augmented = data.train_dataloader().dataset if trains else None
    shown = []
    for row, place in zip(rows.tolist(), places, strict=True):
        reason = ""
        try:
            images = [np.asarray(raw(row)), _pixels(plain[place])]
            if augmented is not None:
                images += [_pixels(augmented[(place, epoch)]) for epoch in range(epochs)]
        except Exception as error:  # a damaged file can break a decoder anywhere
            images = [_cross(data.size)] * (2 if augmented is None else 2 + epochs)
            reason = "\n".join(str(error).splitlines()[:2]) or type(error).__name__
        shown.append(Exhibit(row, images, reason))
    return shown


def contact_sheet(data: MedicalDataModule, shown: list[Exhibit], split: Split) -> Figure:
    """Draw a row for each sample: what it is, then its images from left to right."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from transfusion_cli.figure import Figure

    columns = len(shown[0].images)
    height, width = data.size
    titles = ["as read", f"{data.resize}, {height} x {width}"]
    titles += [f"training, epoch {epoch + 1}" for epoch in range(columns - 2)]
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(CELL * (columns + 1), CELL * len(shown) + 0.5), dpi=110, layout=layout)
    axes = figure.subplots(len(shown), columns + 1, squeeze=False)
    name = type(data).__name__.removesuffix("DataModule")
    figure.suptitle(f"{name}, {split} split", x=0.01, ha="left", fontsize=FONT + 3)
    for line, exhibit in zip(axes, shown, strict=True):
        line[0].set_axis_off()
        labels, facts = _caption(data, exhibit)
        line[0].text(0, 0.52, labels, va="bottom", fontsize=FONT, weight="bold", transform=line[0].transAxes)
        line[0].text(0, 0.48, facts, va="top", fontsize=FONT, transform=line[0].transAxes)
        for cell, image in zip(line[1:], exhibit.images, strict=True):
            _draw(cell, image)
    for cell, title in zip(axes[0][1:], titles, strict=True):
        cell.set_title(title, fontsize=FONT)
    return figure


def _pixels(sample: dict[str, Any]) -> np.ndarray:
    image = sample["image"].numpy()
    return np.asarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _cross(size: tuple[int, int]) -> np.ndarray:
    """What stands for an image that is not there."""
    import cv2

    (height, width), image = size, np.full(size, 235, np.uint8)
    for ends in (((0, 0), (width, height)), ((0, height), (width, 0))):
        cv2.line(image, *ends, color=120, thickness=max(1, min(size) // 60))
    return image


def _draw(axes: Axes, image: np.ndarray) -> None:
    full = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=full, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.8", linewidth=0.5)


def _caption(data: MedicalDataModule, exhibit: Exhibit) -> tuple[str, str]:
    """The labels, and what else is known of a sample."""
    table, row, raw = data.samples, exhibit.row, exhibit.images[0]
    size = f"{raw.shape[0]} x {raw.shape[1]}" + (", colour" if raw.ndim == 3 else ", grey")
    facts = ["cannot be read" if exhibit.reason else size]
    if table.patients is not None:
        facts.append(f"patient {table.patients[row]}")
    if table.domains is not None:
        facts.append(str(table.domains[row]))
    facts.append(str(table.ids[row]))
    labels = _labels(data, table.targets[row])
    return tuple("\n".join(map(_ending, lines)) for lines in (labels, facts))  # type: ignore[return-value]


def _labels(data: MedicalDataModule, target: np.ndarray) -> list[str]:
    names = data.class_names
    if target.ndim == 0:
        return ["unknown" if target < 0 else names[int(target)]]
    if data.target == "binary":
        return ["unknown" if np.isnan(target[0]) else names[int(target[0] >= 0.5)]]
    found = [name for name, value in zip(names, target.tolist(), strict=True) if value >= 0.5]
    return found or (["unknown"] if np.isnan(target).all() else ["no label"])


def _ending(text: str, width: int = 26) -> str:
    """The end of long paths says more than their beginning."""
    return text if len(text) <= width else "…" + text[1 - width :]
