"""Cases of images or volumes as they lie on disk: files of their channels, the mask, who the patient is."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfusion_cli.data.copies import duplicate_groups
from transfusion_cli.data.layout.tree import is_content
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

CHANNELS = "|"
"""Between the files of a case that has one for each channel, in the paths of a table."""

_FEW = 20
"""Cases on average up to which a common beginning of names may be a patient, and no name of a data set."""


_ENDING = re.compile(r"\.(nii|nii\.gz|mhd|mha|nrrd|nhdr|png|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True)
class ListedCase:
    """One case.

    Args:
        name: of the case.
        images: its file, or its files, one a channel, relative to the folder of the data.
        mask: the mask's, or the empty string.
        split: as in ``SampleTable``.
        patient: who it is, or the empty string where nobody says.
        domain: as in ``SampleTable``, or the empty string.
        fold: number of the fold that tests it, where the source says so.
    """

    name: str
    images: tuple[str, ...]
    mask: str = ""
    split: str = "train"
    patient: str = ""
    domain: str = ""
    fold: int | None = None


def natural(text: str) -> list[str | int]:
    """Key of an order in which 10 comes after 9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def files_in(folder: Path, endings: Sequence[str]) -> dict[str, str]:
    """Files of a folder by their names without the ending, in natural order; hidden ones are passed over.

    Args:
        folder: which need not be there.
        endings: with their points, for example ``.nii.gz``; the case of letters makes no difference.
    """
    if not folder.is_dir():
        return {}
    found = {}
    for name in sorted((entry.name for entry in folder.iterdir()), key=natural):
        ending = next((end for end in endings if name.lower().endswith(end.lower())), None)
        if ending and is_content(name):
            found[name[: -len(ending)]] = name
    return found


def case_table(cases: Sequence[ListedCase]) -> SampleTable:
    """The table of cases, whose masks say all; without patients where any case does not say who it is."""
    told = as_text(case.patient for case in cases)
    return SampleTable(
        ids=as_text(case.name for case in cases),
        targets=np.full(len(cases), -1),
        split=as_text(case.split for case in cases),
        patients=told if len(told) and (told != "").all() else None,
        paths=as_text(CHANNELS.join(case.images) for case in cases),
        domains=as_text(case.domain for case in cases) if any(case.domain for case in cases) else None,
        masks=as_text(case.mask for case in cases),
    )


def find_copies(table: SampleTable, folder: Path) -> None:
    """Say in a table without patients which training cases have the same first file, so that they stay together."""
    if table.patients is not None or table.paths is None:
        return
    rows = table.rows("train")
    first = as_text(path.split(CHANNELS)[0] for path in table.paths[rows].tolist())
    table.copies = table.ids.copy()
    table.copies[rows] = table.ids[rows][duplicate_groups(folder, first)]


def warn_of_patients(names: Iterable[str], source: Path, pattern: str = "--data.patient_pattern") -> None:
    """Say that the names of cases look as if some shared a patient, who is not known.

    That is where names agree up to their last part, as in ``patient001_frame01`` and ``patient001_frame12``, and that
    beginning has a number.

    Args:
        names: of the cases.
        source: where they are.
        pattern: the option that says who the patients are.
    """
    starts = Counter(re.sub(r"[-_./][^-_./]*$", "", _ENDING.sub("", name)) for name in names)
    shared = [start for start, number in starts.items() if number > 1 and re.search(r"\d", start)]
    if shared and len(starts) > 1 and sum(starts.values()) <= _FEW * len(starts):
        text = "%d beginnings of names are shared by several cases, for example %s, and no patients are known in %s"
        log.warning(text + "\nIf that is a patient: %s '(.*)[-_./]'", len(shared), shared[0], source, pattern)


def require_unique(cases: Sequence[ListedCase], source: Path) -> None:
    """Fail where two cases have one name.

    Raises:
        UserError: they do.
    """
    name, number = Counter(case.name for case in cases).most_common(1)[0] if cases else ("", 0)
    if number > 1:
        raise UserError(f"{number} cases are called {name!r}\nin {source}\nGive each a name of its own.")
