"""How many images, patients and labels there are, split by split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.targets import Target

ALL_SPLITS = ("train", "val", "test", "predict")


def class_counts(targets: np.ndarray, target: Target, class_names: Sequence[str]) -> dict[str, int]:
    """Samples of each class, or with each label, and under ``unknown`` the samples (labels, for several) not known."""
    if targets.ndim == 2:
        values = (targets >= 0.5).sum(0).tolist()  # NaN is never at least
        if target == "binary":
            values = [int((targets[:, 0] < 0.5).sum()), *values]
        unknown = int(np.isnan(targets).sum())
    else:
        values = np.bincount(targets[targets >= 0], minlength=len(class_names)).tolist()
        unknown = int((targets < 0).sum())
    return dict(zip(class_names, values, strict=True)) | {"unknown": unknown}


def count(table: SampleTable, target: Target, class_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Images, patients (None where not known) and classes of each split that has images; the three main ones always."""
    counted = {}
    for split in ALL_SPLITS:
        rows = table.rows(split)  # type: ignore[arg-type]
        if split == "predict" and not len(rows):
            continue
        counted[split] = {
            "images": len(rows),
            "patients": None if table.patients is None else len(np.unique(table.groups[rows])),
            "classes": class_counts(table.targets[rows], target, class_names),
        }
    return counted


def published_counts(
    table: SampleTable, keys: Sequence[str], target: Target, class_names: Sequence[str]
) -> dict[str, int | None]:
    """What the data have for each key of ``ImageFilesDataModule.published``; None for a key that cannot be counted.

    Images, patients and classes are counted over all rows, those in no split included; splits over their rows.
    """
    asked = any(key.startswith("class:") for key in keys)
    classes = class_counts(table.targets, target, class_names) if asked else {}
    found: dict[str, int | None] = {}
    for key in keys:
        if key == "images":
            found[key] = len(table)
        elif key == "patients":
            found[key] = None if table.patients is None else len(np.unique(table.groups))
        elif key.startswith("class:"):
            found[key] = classes.get(key.removeprefix("class:"))
        else:
            found[key] = int(np.isin(table.split, key.split("+")).sum())
    return found


def kinds(facts: np.ndarray) -> dict[str, int]:
    """How many files there are of each depth, in grey or in colour."""
    found, numbers = np.unique(facts[["bits", "colour"]], return_counts=True)
    names = (f"{bits}-bit {'colour' if colour else 'grey'}" for bits, colour in found.tolist())
    return dict(zip(names, numbers.tolist(), strict=True))


def co_occurrence(targets: np.ndarray) -> np.ndarray:
    """How many samples have both of two labels (L, L); the diagonal counts each label."""
    has = (targets >= 0.5).astype(np.int64)
    return has.T @ has


def spread(values: np.ndarray) -> dict[str, float]:
    """Least, middle and greatest of some numbers."""
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
