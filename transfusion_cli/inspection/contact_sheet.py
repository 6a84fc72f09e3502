"""A picture of some samples on their way into the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.planes import three_planes
from transfusion_cli.data.samples import Split
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.drawing import key, palette_of
from transfusion_cli.errors import UserError
from transfusion_cli.inspection.exhibit import Exhibit, cross, reason_of
from transfusion_cli.inspection.mask_exhibits import mask_exhibits, mask_titles
from transfusion_cli.targets import label_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 1.9
"""Inches that an image takes."""

FONT = 8


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
    masked = isinstance(data, MaskDataModule)  # which classes a mask has is not known before it is read
    has = np.ones((len(rows), 1), dtype=bool) if masked else label_matrix(table.targets[rows])
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
    """Read samples as training and evaluation do; of cases with masks see ``mask_exhibits``.

    Args:
        data: the data module.
        rows: rows of its table, all of one split.
        split: that split. Of others than ``train`` there is nothing after resizing.
        epochs: augmented versions of each.
    """
    if isinstance(data, MaskDataModule):
        return mask_exhibits(data, rows, split, epochs)
    raw = data.make_reader(split, None)
    plain = data.fixed_dataloader(split).dataset
    places = np.searchsorted(data.samples.rows(split), rows).tolist()
    trains = split == "train" and len(data.augmentation) > 0
    augmented = data.train_dataloader().dataset if trains else None
    shown = []
    for row, place in zip(rows.tolist(), places, strict=True):
        target = data.samples.targets[row]
        try:
            images = [np.asarray(raw(row)), _pixels(plain[place])]
            if augmented is not None:
                images += [_pixels(augmented[(place, epoch)]) for epoch in range(epochs)]
        except Exception as error:  # a damaged file can break a decoder anywhere
            images = [cross(data.size[-2:])] * (2 if augmented is None else 2 + epochs)
            shown.append(Exhibit(row, images, _labels(data, target), ["cannot be read"], reason_of(error)))
            continue
        size = " x ".join(map(str, images[0].shape[: data.dims]))
        kind = "colour" if images[0].ndim > data.dims else "grey"
        shown.append(Exhibit(row, images, _labels(data, target), [f"{size}, {kind}"]))
    return shown


def contact_sheet(data: MedicalDataModule, shown: list[Exhibit], split: Split) -> Figure:
    """Draw a row for each sample: what it is, then its images from left to right."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from transfusion_cli.figure import Figure

    columns, masked = len(shown[0].images), isinstance(data, MaskDataModule)
    titles, widths = _titles(data, columns), [data.dims - 1] * columns
    volumes = data.dims == 3 and not masked  # cases with masks come as colours
    if masked:
        widths[2:] = [1] * (columns - 2)  # one slice of a patch
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(CELL * (1 + sum(widths)), CELL * len(shown) + 0.5), dpi=110, layout=layout)
    axes = figure.subplots(len(shown), columns + 1, squeeze=False, width_ratios=[1, *widths])
    name = type(data).__name__.removesuffix("DataModule")
    figure.suptitle(f"{name}, {split} split", x=0.01, ha="left", fontsize=FONT + 3)
    for line, exhibit in zip(axes, shown, strict=True):
        line[0].set_axis_off()
        labels, facts = _caption(data, exhibit)
        line[0].text(0, 0.52, labels, va="bottom", fontsize=FONT, weight="bold", transform=line[0].transAxes)
        line[0].text(0, 0.48, facts, va="top", fontsize=FONT, transform=line[0].transAxes)
        for cell, image in zip(line[1:], exhibit.images, strict=True):
            _draw(cell, three_planes(image) if volumes and image.ndim == 3 else image)
    for cell, title in zip(axes[0][1:], titles, strict=True):
        cell.set_title(title, fontsize=FONT)
    if masked:
        names = label_names(data.class_names, data.regions)
        key(figure, names, palette_of(len(names)), FONT)
    return figure


def _titles(data: MedicalDataModule, columns: int) -> list[str]:
    if isinstance(data, MaskDataModule):
        return mask_titles(data, columns)
    titles = ["as read", f"{data.resize}, {' x '.join(map(str, data.size))}"]
    return titles + [f"training, epoch {epoch + 1}" for epoch in range(columns - 2)]


def _pixels(sample: dict[str, Any]) -> np.ndarray:
    image = sample["image"].numpy()
    return np.asarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _draw(axes: Axes, image: np.ndarray) -> None:
    full = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=full, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.8", linewidth=0.5)


def _caption(data: MedicalDataModule, exhibit: Exhibit) -> tuple[str, str]:
    """The labels, and what else is known of a sample."""
    table, row, facts = data.samples, exhibit.row, list(exhibit.facts)
    if table.patients is not None:
        facts.append(f"patient {table.patients[row]}")
    if table.domains is not None:
        facts.append(str(table.domains[row]))
    facts.append(str(table.ids[row]))
    return tuple("\n".join(map(_ending, lines)) for lines in (exhibit.labels, facts))  # type: ignore[return-value]


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
