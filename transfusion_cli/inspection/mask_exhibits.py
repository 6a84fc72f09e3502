"""Cases with their masks, on their way into the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import Case
from transfusion_cli.data.planes import side_by_side
from transfusion_cli.data.samples import Split
from transfusion_cli.drawing import as_grey, fullest, painted, palette_of, resized
from transfusion_cli.inspection.exhibit import Exhibit, cross, reason_of
from transfusion_cli.targets import IGNORE, label_names

SIDE = 400
"""Pixels of the longer side of a picture on the sheet, at most: twelve megapixels take 300 MB as colours."""


def mask_titles(data: MaskDataModule, columns: int) -> list[str]:
    """What the columns of a sheet show."""
    sides = " x ".join(map(str, data.size)) if columns > 2 else ""
    return ["as read", "with its mask", *(f"patch {sides}, epoch {epoch + 1}" for epoch in range(columns - 2))]


def mask_exhibits(data: MaskDataModule, rows: np.ndarray, split: Split, epochs: int) -> list[Exhibit]:
    """Read cases as they are, and patches of them as training sees them.

    Of a volume there are the three planes, and of its patches the slice, that show most of the mask.

    Args:
        data: the data module.
        rows: rows of its table, all of one split.
        split: that split. Of others than ``train`` there are no patches.
        epochs: patches of each case, its first in so many epochs.
    """
    reader = data.stored_reader(split)
    names = label_names(data.class_names, data.regions)
    palette = palette_of(len(names))
    patches: Any = data.training_set() if split == "train" and epochs else None
    places = np.searchsorted(data.samples.rows(split), rows) * data.patches_per_case
    shown = []
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        try:
            case = reader.read(row)
            pictures = list(_pictures(case, palette))
            labels, facts = _shares(case, data), _size(case)
            if patches is not None:
                pictures += [_patch(patches[(place, epoch)], palette) for epoch in range(epochs)]
            shown.append(Exhibit(row, pictures, labels, facts))
        except Exception as error:  # a damaged file can break a decoder anywhere
            pictures = [cross((128, 128))] * (2 if patches is None else 2 + epochs)
            shown.append(Exhibit(row, pictures, [], ["cannot be read"], reason_of(error)))
    return shown


def _pictures(case: Case, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image, and the image with its mask."""
    if case.image.ndim == 3:
        base = resized(as_grey(torch.from_numpy(np.ascontiguousarray(case.image))), case.truth.shape)
        return _small(base), _small(painted(base, case.truth, palette))
    planes, marks = [], []
    known = np.where(case.truth == IGNORE, 0, case.truth)
    for axis in range(3):
        at = fullest(known, axis)
        plane, mark = case.image[:1].take(at, axis + 1).astype(np.float32), case.truth.take(at, axis)
        spacing = np.delete(case.spacing, axis)
        shape = np.rint(np.array(mark.shape) * spacing / case.spacing.min()).astype(int)  # as it is in the patient
        base = resized(as_grey(torch.from_numpy(plane)), mark.shape)
        planes.append(_small(base, shape))
        marks.append(_small(painted(base, mark, palette), shape))
    return side_by_side(planes), side_by_side(marks)


def _patch(sample: dict[str, torch.Tensor], palette: np.ndarray) -> np.ndarray:
    """A training patch with its mask over it."""
    image, mark = sample["image"], sample["target"].numpy()
    if mark.ndim == 3:
        at = fullest(np.where(mark == IGNORE, 0, mark), 0)
        image, mark = image[:1, at], mark[at]
    return _small(painted(resized(as_grey(image), mark.shape), mark, palette))


def _small(colours: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    """A picture (H, W, 3) in [0, 1] as uint8, of another shape if told, not larger than ``SIDE``."""
    import cv2

    wanted = np.array(colours.shape[:2] if shape is None else shape)
    height, width = np.maximum(1, np.rint(wanted * min(1, SIDE / wanted.max()))).astype(int).tolist()
    pixels = np.rint(255 * colours).astype(np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def _shares(case: Case, data: MaskDataModule) -> list[str]:
    """Each class that is there, and how much of the image it is."""
    if case.mask is None:
        return ["no mask"]
    regions = data.regions or [[label] for label in range(1, len(data.class_names) + 1)]
    valid = max(1, int((case.truth != IGNORE).sum()))
    shares = [sum(int((case.truth == label).sum()) for label in region) / valid for region in regions]
    there = [f"{name} {share:.2%}" for name, share in zip(data.class_names, shares, strict=True) if share]
    return there or ["empty mask"]


def _size(case: Case) -> list[str]:
    size = " x ".join(map(str, case.image.shape[1:]))
    if case.image.ndim == 4:
        return [size, " x ".join(f"{step:.3g}" for step in case.spacing) + " mm"]
    return [size + (", colour" if len(case.image) == 3 else ", grey")]
