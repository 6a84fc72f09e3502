"""What reading the masks tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from transfusion_cli.data.samples import SPLITS, SampleTable
from transfusion_cli.inspection.counts import ALL_SPLITS
from transfusion_cli.inspection.finding import Finding, examples
from transfusion_cli.inspection.image_facts import APART, READ, UNKNOWN
from transfusion_cli.inspection.scan import Scan

LEAVE_OUT = "Mend them, or leave them out: --out DIR writes a list for --data.exclude."


def count_cases(
    table: SampleTable, scan: Scan, class_names: Sequence[str], regions: Sequence[Sequence[int]] | None
) -> dict[str, dict[str, Any]]:
    """Cases, patients (None where not known), cases that have each class, and classes' shares of the voxels, by split.

    Args:
        table: the samples.
        scan: facts of each case.
        class_names: of the K classes or regions.
        regions: labels in each region; None for one label a class.
    """
    labels = regions or [[label] for label in range(1, len(class_names) + 1)]
    counted = {}
    for split in ALL_SPLITS:
        rows = table.rows(split)  # type: ignore[arg-type]
        if split == "predict" and not len(rows):
            continue
        voxels = scan.facts["voxels"][rows]
        of_class = np.stack([voxels[:, part].sum(1) for part in labels], axis=1)
        valid = max(1, int(voxels[:, :-1].sum()))
        share = dict(zip(class_names, (of_class.sum(0) / valid).tolist(), strict=True))
        counted[split] = {
            "images": len(rows),
            "patients": None if table.patients is None else len(np.unique(table.groups[rows])),
            "classes": dict(zip(class_names, (of_class > 0).sum(0).tolist(), strict=True)) | {"unknown": 0},
            "masks": int((voxels.sum(1) > 0).sum()),
            "empty_masks": int(np.isin(rows, empty_rows(scan)).sum()),
            "share_of_voxels": share,
            "ignored": float(voxels[:, -1].sum() / max(1, voxels.sum())),
        }
    return counted


def check_masks(table: SampleTable, scan: Scan, unit: str, has_geometry: bool) -> Iterator[Finding]:
    """Every case that is learned from or measured must have a mask that belongs to it and holds its classes.

    Args:
        table: the samples.
        scan: facts of each case.
        unit: what the samples are called.
        has_geometry: whether the data module can put masks where their images are.
    """
    bare = bare_rows(table)
    if len(bare):
        where = ", ".join(f"{split} {(table.split[bare] == split).sum():,}" for split in SPLITS)
        message = f"{len(bare):,} {unit} have no mask ({where}): {examples(table.ids[bare])}"
        yield Finding("error", "no-mask", message, LEAVE_OUT, {"images": len(bare)})
    turn = (
        "Where all images are right, --data.geometry image puts masks of as many voxels there. " if has_geometry else ""
    )
    for state, kind, what, advice in (
        (UNKNOWN, "unknown-values", "hold values that stand for no class", "Name the values as classes. "),
        (APART, "misplaced-masks", "do not belong to their images", turn),
    ):
        rows = scan.rows(state)
        if len(rows):
            message = f"{len(rows):,} masks {what}: {examples(table.ids[rows])} ({scan.reasons[int(rows[0])]})"
            yield Finding("error", kind, message, f"{advice}{LEAVE_OUT}", {"images": len(rows)})
    moved = np.flatnonzero(scan.facts["moved"])
    if len(moved):
        message = f"{len(moved):,} masks lie elsewhere than their images by their headers: {examples(table.ids[moved])}"
        advice = "They are taken to lie where the images do. Look at some: transfusion data show"
        yield Finding("warning", "moved-masks", message, advice, {"images": len(moved)})


def check_empty_masks(table: SampleTable, scan: Scan, counts: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Masks without any class teach background alone, and have no Dice."""
    rows = empty_rows(scan)
    if len(rows):
        where = ", ".join(f"{split} {part['empty_masks']:,} of {part['masks']:,}" for split, part in counts.items())
        message = f"{len(rows):,} masks are empty ({where}): {examples(table.ids[rows])}"
        advice = "Right where a structure can be absent: Dice is undefined there, and false alarms are counted apart."
        yield Finding("note", "empty-masks", message, advice, {"images": len(rows)})


def bare_rows(table: SampleTable) -> np.ndarray:
    """Rows of a split with labels that have no mask."""
    assert table.masks is not None
    return np.flatnonzero((table.masks == "") & np.isin(table.split, SPLITS))


def empty_rows(scan: Scan) -> np.ndarray:
    """Rows with a mask that has no class."""
    voxels = scan.facts["voxels"]
    read = scan.facts["state"] == READ
    return np.flatnonzero(read & (voxels.sum(1) > 0) & (voxels[:, 1:-1].sum(1) == 0))
