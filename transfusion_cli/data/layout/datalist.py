"""MONAI's list of data: cases of several splits in a file of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from transfusion_cli.data.layout.cases import ListedCase
from transfusion_cli.data.layout.json_file import read_json
from transfusion_cli.errors import UserError

SECTIONS = {
    **dict.fromkeys(("training", "train"), "train"),
    **dict.fromkeys(("validation", "val"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What a list calls the splits."""

PATIENT = ("patient", "patient_id", "subject", "subject_id")
"""Entries of a case that say whose it is."""

_EXAMPLE = '{"training": [{"image": FILE or [FILES], "label": FILE, "fold": 0}], "test": [...]}'


@dataclass(frozen=True)
class Datalist:
    """What a list says.

    Args:
        labels: as it names them, if it does.
        channels: what each channel shows, if it says so.
        cases: of all splits; those for the test without a mask are for ``predict``.
    """

    labels: Mapping[str, object] | None
    channels: list[str] | None
    cases: list[ListedCase]


def read_datalist(path: Path) -> Datalist:
    """Read a list.

    A case is called after its first image.

    Raises:
        UserError: it is none, or two cases have one image.
    """
    told = read_json(path)
    entries = [
        (split, section, number, entry)
        for section, split in SECTIONS.items()
        for number, entry in enumerate(told.get(section) or [])
    ]
    if not any(split == "train" for split, *_ in entries):
        raise UserError(f"No cases for training in {path}\nExpected {_EXAMPLE}")
    cases = [_case(split, entry, f"{section}[{number}]", path) for split, section, number, entry in entries]
    labels, modality = told.get("labels"), told.get("modality", told.get("channel_names"))
    channels = [str(name) for name in modality.values()] if isinstance(modality, dict) else None
    return Datalist(labels if isinstance(labels, dict) else None, channels, cases)


def _case(split: str, entry: Any, place: str, path: Path) -> ListedCase:
    entry = {"image": entry} if isinstance(entry, str) else entry  # as the Decathlon lists its test
    image = entry.get("image") if isinstance(entry, dict) else None
    images = [image] if isinstance(image, str) else image
    mask, fold = (entry.get("label") or "", entry.get("fold")) if isinstance(entry, dict) else ("", None)
    if (
        not isinstance(images, list)
        or not images
        or not all(isinstance(name, str) and name for name in images)
        or not isinstance(mask, str)
        or not isinstance(fold, int | None)
    ):
        raise UserError(f"Cannot read {place}: {str(entry)[:100]}\nin {path}\nExpected {_EXAMPLE}")
    files = tuple(PurePosixPath(name.replace("\\", "/")).as_posix() for name in images)
    return ListedCase(
        name=files[0],
        images=files,
        mask=PurePosixPath(mask.replace("\\", "/")).as_posix() if mask else "",
        split="predict" if split == "test" and not mask else split,
        patient=next((str(entry[key]) for key in PATIENT if entry.get(key)), ""),
        fold=fold,
    )
