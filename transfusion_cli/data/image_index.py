"""Finding images and their labels, patients and splits in folders and tables."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.patient_column import FLAG, NO_PATIENTS, find_patient_column, lookalikes
from transfusion_cli.data.samples import as_text
from transfusion_cli.data.split_column import SPLIT_NAMES, read_splits
from transfusion_cli.data.tables import read_table, refuse, require_columns, without_point
from transfusion_cli.data.tree import image_files
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

YES_NO = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0, "": np.nan}
"""What stands in a column that is a label of its own, in small letters."""

NOT_BLANK = ("NA", "N/A", "n/a", "NaN", "nan", "None", "none", "NULL", "null")
"""What some programs write where they have nothing, and what a class or a patient may be called nevertheless."""


@dataclass
class ImageIndex:
    """What a folder or a table says, before labels are encoded.

    Args:
        source: The folder or the table, for messages.
        paths: Image files relative to the root (N,).
        labels: Label texts by column; the empty string where blank.
        split: As ``read_splits`` says (N,), or None where the source tells none.
        patients: Patient of each image (N,), or None.
        flags: Where each column of ``YES_NO`` says yes, bool (N,), whether it is one of the labels or not, by name.
        lookalikes: Where there are no patients: columns that could tell them.
    """

    source: Path
    paths: np.ndarray
    labels: dict[str, np.ndarray]
    split: np.ndarray | None = None
    patients: np.ndarray | None = None
    flags: dict[str, np.ndarray] = field(default_factory=dict)
    lookalikes: list[str] = field(default_factory=list)


def index_folder(root: Path) -> ImageIndex:
    """Find ``<class>/<image>`` or ``{train,val,test}/<class>/<image>`` below a folder, at any further depth.

    Raises:
        UserError: No folder, or no class folders with images.
    """
    hint = "Expected <class>/<image> or {train,val,test}/<class>/<image> below it, or a table: --data.table FILE"
    if not root.is_dir():
        raise UserError(f"no folder {root}\n{hint}")
    top = sorted(
        entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))
    )
    has_splits = "train" in [SPLIT_NAMES.get(name.lower()) for name in top]
    depth = 1 if has_splits else 0
    used = [name for name in top if not has_splits or name.lower() in SPLIT_NAMES]
    files = [f"{name}/{path}" for name in used for path in image_files(root / name)]
    parts = [path.split("/") for path in files if path.count("/") > depth]
    if not parts:
        raise UserError(f"no images in class folders of {root}\n{hint}")
    split = as_text(SPLIT_NAMES[names[0].lower()] for names in parts) if has_splits else None
    return ImageIndex(root, as_text(map("/".join, parts)), {"folder": as_text(names[depth] for names in parts)}, split)


def index_table(
    path: Path, image: str, labels: list[str], split: str | None = None, patient: str | None = None
) -> ImageIndex:
    """Read the columns of a CSV or Parquet file.

    Args:
        path: The table.
        image: Column with image paths.
        labels: Columns with labels.
        split: Column with the split; null takes ``split`` where there is one.
        patient: Column with the patient, or ``none``; null takes the one whose name says so.

    Raises:
        UserError: A missing column, a blank or repeated path, a blank patient, or an unknown split.
    """
    frame = read_table(path)
    split = split or next((name for name in sorted(frame.columns) if name.lower() == "split"), None)
    require_columns(frame, [image], path, "--data.image_column NAME")
    require_columns(frame, labels, path, "--data.label_columns NAME")
    require_columns(frame, [split] if split else [], path, "--data.split_column NAME")
    taken = {image, *labels, *([split] if split else [])}
    patient = find_patient_column(frame, patient, taken, path)
    refuse(frame[image].isna().to_numpy(), frame[image], image, path, "the path of an image in every row")
    refuse(frame[image].duplicated().to_numpy(), frame[image], image, path, "each image once", "repeated value")
    index = ImageIndex(path, _texts(frame[image]), {name: _texts(frame[name]) for name in labels})
    index.flags = _flags(frame.drop(columns=[name for name in (image, split, patient) if name]))
    index.split = read_splits(frame[split], path) if split else None
    if patient is None:
        index.lookalikes = lookalikes(frame, image, labels, taken)
    else:
        allowed = f"a patient in every row; another column: {FLAG} NAME, or {NO_PATIENTS}"
        refuse(frame[patient].isna().to_numpy(), frame[patient], patient, path, allowed)
        index.patients = _texts(frame[patient])
    for name in (*labels, *([patient] if patient else [])):
        _say_not_blank(frame[name])
    return index


def _texts(column: pd.Series) -> np.ndarray:
    """A column as an array, the empty string where blank."""
    return as_text(column.fillna("").to_numpy(dtype=object))


def _say_not_blank(column: pd.Series) -> None:
    """Tell of words that other programs take for blank."""
    words = column[column.isin(NOT_BLANK)]
    if len(words):
        found = ", ".join(repr(str(word)) for word in sorted(words.unique()))
        text = "column %r: %d cells say %s and are taken at their word; only an empty cell is blank"
        log.info(text, column.name, len(words), found)


def _flags(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name in sorted(frame.columns, key=str):
        if _yes(frame[name].iloc[:1000]) is not None:  # the first rows tell most columns of other things
            yes = _yes(frame[name])
            found |= {} if yes is None else {str(name): yes}
    return found


def _yes(column: pd.Series) -> np.ndarray | None:
    """Where a column of ``YES_NO`` says yes, bool (N,); None for any other column."""
    import pandas as pd

    which, distinct = pd.factorize(_texts(column).astype(object))
    values = [YES_NO.get(text.lower()) for text in without_point([str(text) for text in distinct])]
    return None if None in values else np.array([value == 1 for value in values], dtype=bool)[which]


def patients_from_paths(index: ImageIndex, pattern: str) -> np.ndarray:
    """Patient of each image: what a regular expression (its first group) finds in the path.

    An image without a match counts as a patient of its own.

    Raises:
        UserError: The pattern is no regular expression, or matches no path at all.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"patient_pattern {pattern!r} is no regular expression: {error}") from error
    matches = [expression.search(path) for path in index.paths]
    found = sum(match is not None for match in matches)
    if not found:
        raise UserError(f"patient_pattern {pattern!r} matches no path, for example not {str(index.paths[0])!r}")
    if found < len(matches):
        log.warning("patient_pattern matches %d of %d paths; each of the rest is its own patient", found, len(matches))
    names = (m[1 if expression.groups else 0] if m else path for m, path in zip(matches, index.paths, strict=True))
    return as_text(names)
