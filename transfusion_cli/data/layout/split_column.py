"""The split that a table gives: what its words mean, and where the rows go that it leaves blank."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.tables import refuse
from transfusion_cli.data.samples import SPLITS, Split, as_text

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}

LEFT_OUT = "left out"
"""What stands for rows that the table wants in no split."""

_WORDS = SPLIT_NAMES | dict.fromkeys(("exclude", "excluded", "unused", "none"), LEFT_OUT)


def read_splits(column: pd.Series, path: Path) -> np.ndarray | None:
    """``train``, ``val``, ``test``, ``LEFT_OUT``, or empty where the column is blank (N,); None where all of it is.

    Raises:
        UserError: any other word, by its row.
    """
    if column.isna().all():
        return None
    given = column.str.lower()
    unknown = (given.notna() & ~given.isin(list(_WORDS))).to_numpy()
    refuse(
        unknown, column, str(column.name), path, "train, val, test, exclude, or blank for images to draw a split for"
    )
    return as_text(given.map(_WORDS).fillna("").to_numpy())


def settle_splits(given: np.ndarray, patients: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Give every row its split: a blank one that of its patient's other rows, or else ``train``, to be drawn from.

    Args:
        given: as ``read_splits`` says (N,).
        patients: patient of each row (N,), or None.

    Returns:
        ``train``, ``val``, ``test`` or empty (N,), and which rows follow their patient, bool (N,).
    """
    split, blank = np.where(given == LEFT_OUT, "", given).astype("<U5"), given == ""
    follows = np.zeros(len(given), dtype=bool)
    if patients is not None and blank.any() and not blank.all():
        codes = np.unique(patients, return_inverse=True)[1]
        for name in SPLITS:  # of a patient in several, which is an error later on, the last; the order of rows is none
            rows = blank & np.isin(codes, codes[given == name])
            split[rows], follows = name, follows | rows
    split[blank & ~follows] = "train"
    return split, follows


def log_splits(given: np.ndarray, follows: np.ndarray, drawn: Mapping[Split, int]) -> None:
    """Say in one line how the rows came to their splits, unless all are as given.

    Args:
        given: as ``read_splits`` says (N,).
        follows: as ``settle_splits`` says (N,).
        drawn: rows of the splits that were drawn from the training rows.
    """
    blank, out = int((given == "").sum()), int((given == LEFT_OUT).sum())
    if not (blank or out or drawn):
        return
    parts = [f"{len(given) - blank - out:,} images as given"]
    if blank:
        followed = int(follows.sum())
        parts.append(f"{blank:,} blank, of which {followed:,} follow their patient and {blank - followed:,} join train")
    parts += [f"{out:,} left out"] if out else []
    parts += [f"drawn from train: {', '.join(f'{name} {number:,}' for name, number in drawn.items())}"] if drawn else []
    log.info("splits: %s", "; ".join(parts))
