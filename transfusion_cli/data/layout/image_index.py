"""Finding images and their labels, patients and splits in folders and tables."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.class_folders import class_folders
from transfusion_cli.data.layout.columns import IMAGES, find_image_column, require_labels
from transfusion_cli.data.layout.patient_column import FLAG, NO_PATIENTS, find_patient_column, lookalikes
from transfusion_cli.data.layout.split_column import read_splits
from transfusion_cli.data.layout.tables import read_table, refuse, require_columns, without_point
from transfusion_cli.data.samples import as_text
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
        source: the folder or the table, for messages.
        paths: image files relative to the root (N,).
        labels: label texts by column; the empty string where blank.
        split: as ``read_splits`` says (N,), or None where the source tells none.
        patients: patient of each image (N,), or None.
        flags: where each column of ``YES_NO`` says yes, bool (N,), whether it is one of the labels or not, by name.
        lookalikes: where there are no patients: columns that could tell them.
    """

    source: Path
    paths: np.ndarray
    labels: dict[str, np.ndarray]
    split: np.ndarray | None = None
    patients: np.ndarray | None = None
    flags: dict[str, np.ndarray] = field(default_factory=dict)
    lookalikes: list[str] = field(default_factory=list)


def index_folder(root: Path) -> ImageIndex:
    """Take classes and splits from folders, as ``class_folders`` says.

    Raises:
        UserError: no folder, no class folders with images, or one class alone.
    """
    found = class_folders(root)
    split = None if found.split is None else as_text(found.split)
    return ImageIndex(root, as_text(found.paths), {"folder": as_text(found.classes)}, split)


def index_table(
    path: Path, image: str | None, labels: list[str], split: str | None = None, patient: str | None = None
) -> ImageIndex:
    """Read the columns of a CSV or Parquet file.

    Args:
        path: the table.
        image: column with image paths; null takes the one whose name says so.
        labels: columns with labels.
        split: column with the split; null takes ``split`` where there is one.
        patient: column with the patient, or ``none``; null takes the one whose name says so.

    Raises:
        UserError: a missing column, a blank or repeated path, a blank patient, or an unknown split.
    """
    frame = read_table(path)
    split = split or next((name for name in sorted(frame.columns) if name.lower() == "split"), None)
    require_columns(frame, [split] if split else [], path, "--data.split_column NAME")
    image = find_image_column(frame, image, path)
    require_labels(frame, labels, [image, *([split] if split else [])], path)
    taken = {image, *labels, *([split] if split else [])}
    patient = find_patient_column(frame, patient, taken, path)
    other = f"; another column: {IMAGES} NAME"
    refuse(frame[image].isna().to_numpy(), frame[image], image, path, f"the path of an image in every row{other}")
    refuse(frame[image].duplicated().to_numpy(), frame[image], image, path, f"each image once{other}", "Repeated value")
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
    # The first rows tell most columns of other things.
    likely = [name for name in sorted(frame.columns, key=str) if _yes(frame[name].iloc[:1000]) is not None]
    return {str(name): yes for name in likely if (yes := _yes(frame[name])) is not None}


def _yes(column: pd.Series) -> np.ndarray | None:
    """Where a column of ``YES_NO`` says yes, bool (N,); None for any other column."""
    import pandas as pd

    which, distinct = pd.factorize(_texts(column).astype(object))
    values = [YES_NO.get(text.lower()) for text in without_point([str(text) for text in distinct])]
    return None if None in values else np.array([value == 1 for value in values], dtype=bool)[which]


def patients_from_paths(index: ImageIndex, pattern: str) -> np.ndarray:
    """Patient of each image: what a regular expression finds in the path; see ``patients_from_pattern``."""
    return patients_from_pattern(index.paths, pattern)


def patients_from_pattern(names: np.ndarray, pattern: str, what: str = "path") -> np.ndarray:
    """Patient of each sample: what a regular expression (its first group) finds in its name.

    A sample without a match counts as a patient of its own.

    Args:
        names: paths or other names (N,).
        pattern: the expression.
        what: the names are, for messages.

    Raises:
        UserError: the pattern is no regular expression, or matches no name at all.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"patient_pattern {pattern!r} is no regular expression: {error}") from error
    found = sum(expression.search(name) is not None for name in names)
    if not found:
        raise UserError(f"patient_pattern {pattern!r} matches no {what}, for example not {str(names[0])!r}")
    if found < (total := len(names)):
        log.warning("patient_pattern matches %d of %d %ss; each of the rest is its own patient", found, total, what)
    return patients_from_names(names, expression)


def patients_from_names(names: Iterable[str], expression: re.Pattern[str]) -> np.ndarray:
    """What an expression (its first group) finds in each name, or else the name itself: string array (N,)."""
    found = ((expression.search(name), name) for name in names)
    return as_text(match[1 if expression.groups else 0] if match else name for match, name in found)
