"""Where the files of CheXpert lie: in one tree, in the batches of the full release, or in CheXlocalize."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from transfusion_cli.data.layout.listed import which_folder
from transfusion_cli.data.samples import as_text

BATCHES = "CheXpert-v1.0 batch*"
"""``CheXpert-v1.0 batch 1 (validate & csv)`` holds the tables and ``valid/``; patients lie right in the other three."""


def find_table(places: list[Path], name: str) -> Path | None:
    """The table of that name in a place, in a folder in it, or in the ``CheXpert`` folder of CheXlocalize in it."""
    for place in places:
        for pattern in (name, f"*/{name}", f"*/CheXpert/{name}"):
            for found in sorted(place.glob(pattern)):
                return found
    return None


def image_paths(folder: Path, table: Path, ids: np.ndarray, patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the images of a table lie, told by its patients' folders alone: no look at every single file.

    Args:
        folder: folder that the paths start from.
        table: the table.
        ids: ``part/patient/study/image`` of each image (N,), all of one part: train, valid, val or test.
        patients: patient of each image (N,).

    Returns:
        Path of each image, string array (N,), and whether its patient has no folder, bool (N,). Where no folder of such
        patients is found at all, the paths are the ids.
    """
    missing = np.zeros(len(ids), dtype=bool)
    if not len(ids):
        return ids, missing
    part, _, _ = str(ids[0]).partition("/")
    holders = _holders(folder, table, part)
    if not holders:
        return ids, missing
    holder = np.zeros(len(ids), dtype=np.int64)
    if len(holders) > 1:
        names, codes = np.unique(patients, return_inverse=True)
        holder = which_folder(names, holders)[codes]
    prefixes = as_text(Path(os.path.relpath(path, folder)).as_posix() + "/" for path in holders)
    inside = np.char.partition(ids, "/")[:, 2]
    return np.char.add(prefixes[holder], inside), holder < 0


def _holders(folder: Path, table: Path, part: str) -> list[Path]:
    """Folders of patients: the one beside the table, or else all that may hold some of them."""
    beside = table.parent / part
    if beside.is_dir():
        return [beside]
    patterns = (part, f"*/{part}", BATCHES)
    return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_dir()]
