"""Which column of a table tells the patients."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.tables import numbers, require_columns

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

NO_PATIENTS = "none"
"""In place of a column: every image stands for itself, and nobody need be warned."""

FLAG = "--data.patient_column"

DOCUMENTED = ("patient", "patient_id")
"""Names that a user gives on purpose, so that nothing need be said of them."""

_PERSONS = ("patient", "pat", "pid", "mrn", "subject", "participant", "person", "donor")
_LESS = ("case", "study", "exam", "examination", "accession", "slide", "wsi", "specimen", "lesion")
_ENDINGS = ("", "id", "no", "nr", "num", "number", "code", "key", "uid", "instanceuid", "name")
_RANK = {word + ending: i for i, (word, ending) in enumerate((w, e) for w in _PERSONS + _LESS for e in _ENDINGS)}
"""Names of columns that tell patients, or else what is never parted, the nearest to a person first."""

_PERSON = len(_PERSONS) * len(_ENDINGS)
"""Rank from which names tell less than a person."""

_FEW = 5
"""Values below which a column is no list of patients: ``study`` may also name the two cohorts of a table."""

_AGES, _YEARS = 150, 3000
"""Up to so many different numbers, none of them greater, may be ages, scores or years."""


def find_patient_column(frame: pd.DataFrame, given: str | None, taken: Collection[str], path: Path) -> str | None:
    """The column asked for, or the one whose name says that it tells patients; None where there is none.

    Args:
        frame: the table, as text.
        given: what the user says; ``NO_PATIENTS`` for none, null to look for one.
        taken: columns that are something else: the image, the labels, the split.
        path: the table's file, for messages.

    Raises:
        UserError: no such column.
    """
    if given is not None and given not in frame.columns and given.lower() == NO_PATIENTS:
        return None
    if given is not None:
        require_columns(frame, [given], path, f"{FLAG} NAME, or {NO_PATIENTS}")
        return given
    plain = {name: re.sub(r"[\W_]", "", name.lower()) for name in frame.columns if name not in taken}
    ranks = {name: _RANK[word] for name, word in plain.items() if word in _RANK}
    known = sorted(ranks, key=lambda name: (ranks[name], name))
    for name in known:
        number = frame[name].nunique()
        if number and (ranks[name] < _PERSON or _FEW <= number < len(frame)):
            others = [other for other in known if other != name]
            if others or name not in DOCUMENTED:
                also = f" (not {', '.join(others)})" if others else ""
                log.info("patients: column %s%s, %d of them; %s NAME takes another", name, also, number, FLAG)
            return name
    return None


def lookalikes(frame: pd.DataFrame, image: str, labels: Sequence[str], taken: Collection[str]) -> list[str]:
    """Columns that could tell patients although their names do not: their values recur as those of patients would.

    Either most values are on a few rows each, or all images of a folder share one. Columns that the label decides, and
    numbers as few as ages, are passed over.

    Args:
        frame: the table, as text.
        image: column with the paths.
        labels: columns with labels.
        taken: all columns that are known to be something else.
    """
    folders = cache(lambda: frame[image].str.replace(r"/?[^/]*$", "", regex=True).factorize()[0])
    classes = [frame[label].factorize()[0] for label in labels]
    return [name for name in frame.columns if name not in taken and _could_be_patients(frame[name], folders, classes)]


def advice(columns: Sequence[str]) -> str:
    """What to type where no patients are known, given the columns that look like patients."""
    if columns:
        looks = f"Column {columns[0]} looks" if len(columns) == 1 else f"Columns {', '.join(columns)} look"
        take = f"take {'it' if len(columns) == 1 else 'one'} with {FLAG} {shlex.quote(columns[0])}"
        return f"{looks} like patients: {take}, or say that no images share a patient with {FLAG} {NO_PATIENTS}"
    return (
        f"Where images share patients, say how to tell: {FLAG} NAME, or --data.patient_pattern REGEX in the paths; "
        f"where they do not: {FLAG} {NO_PATIENTS}"
    )


def _could_be_patients(column: pd.Series, folders: Callable[[], np.ndarray], classes: Sequence[np.ndarray]) -> bool:
    import pandas as pd

    codes, values = pd.factorize(column)
    if not _FEW <= len(values) < len(column) or (codes < 0).mean() > 0.1:
        return False
    as_numbers = numbers(pd.Series(values))
    all_numbers = not np.isnan(as_numbers).any()
    if (all_numbers and (as_numbers % 1 != 0).any()) or any(_decides(label, codes) for label in classes):
        return False
    counts = np.bincount(codes[codes >= 0])
    recurs = (counts > 1).mean() > 0.5 and counts.mean() <= 20 and counts.max() <= max(20, 10 * counts.mean())
    like_ages = all_numbers and len(values) <= _AGES and as_numbers.max() <= _YEARS
    if recurs and not like_ages:
        return True
    number = int(folders().max()) + 1
    as_many = number == len(values) if like_ages else number <= 10 * len(values)
    return as_many and number <= len(column) / 2 and _decides(folders(), codes)


def _decides(these: np.ndarray, those: np.ndarray) -> bool:
    """Whether rows that agree in the first codes agree in the second."""
    import pandas as pd

    pairs = these.astype(np.int64) * (int(those.max()) + 2) + those
    return len(pd.unique(pairs)) == len(pd.unique(these))
