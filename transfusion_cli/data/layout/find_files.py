"""Finding the files that the images of a user's own table are meant to be, where the table does not say so exactly."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.reading.images import EXTENSIONS
from transfusion_cli.data.samples import as_text

_LOOKS = 100
"""Paths that are looked up before anything else."""

_ABSOLUTE = re.compile(r"([a-zA-Z]:)?[/\\]")


@dataclass
class Found:
    """Where images are.

    Args:
        paths: file of each image relative to the folder, or the name itself where none is found (N,).
        found: which of them were found, by whatever name, bool (N,).
        example: a name and the file that it was found to be.
        doubt: the files that the first doubtful name may mean.
    """

    paths: np.ndarray
    found: np.ndarray
    example: tuple[str, str] = ("", "")
    doubt: list[str] = field(default_factory=list)


def as_written(folder: Path, names: np.ndarray) -> bool:
    """Whether any of the named files is there: one program writes all paths of a table, right or wrong."""
    places = np.unique(np.linspace(0, len(names) - 1, min(_LOOKS, len(names))).astype(int))
    return any(os.path.isfile(folder / name) for name in names[places].tolist())


def find_files(folder: Path, names: np.ndarray, guess: bool = False) -> Found:
    """Match names to the image files below a folder.

    Upper and lower case and the kind of slash make no difference. Names may lack their ending and the first folders of
    their files. They may also begin with folders that are not there: with a whole path from the root of another disk,
    or with one that ends in ``folder`` itself; as many are left out for all names, and only where no two images become
    one. A name that fits several files is found in none of them.

    Args:
        folder: where to look, at any depth.
        names: paths or ids (N,).
        guess: also try other endings than a name has, and leave out any folders, to make a suggestion.
    """
    files = image_files(folder)
    best = Found(names, np.zeros(len(names), dtype=bool))
    wanted = [_parts(name) for name in names.tolist()]
    free = [guess or bool(_ABSOLUTE.match(name)) for name in names.tolist()]
    own = folder.resolve().name.casefold()
    for dropped in range(max(map(len, wanted), default=0) if files else 0):
        rows = [
            row
            for row, parts in enumerate(wanted)
            if len(parts) > dropped and (not dropped or free[row] or parts[dropped - 1] == own)
        ]
        matches = dict(zip(rows, _match(files, [wanted[row][dropped:] for row in rows], guess), strict=True))
        hits = {row: match[0] for row, match in matches.items() if len(match) == 1}
        best.doubt = best.doubt or next(([files[i] for i in match] for match in matches.values() if len(match) > 1), [])
        if len(hits) <= best.found.sum() or len(set(hits.values())) < len(hits):
            continue
        best.found = np.isin(np.arange(len(names)), list(hits))
        best.paths = as_text(files[hits[row]] if row in hits else name for row, name in enumerate(names.tolist()))
        first = next(iter(hits))
        best.example = str(names[first]), files[hits[first]]
        if best.found.all():
            break
    return best


def _match(files: list[str], wanted: list[list[str]], guess: bool) -> list[list[int]]:
    """Numbers of the files that end in each path."""
    depths = {len(parts) for parts in wanted}
    exact: dict[str, list[int]] = {}
    plain: dict[str, list[int]] = {}
    for number, path in enumerate(files):
        parts = _parts(path)
        for depth in depths:
            if depth <= len(parts):
                key = "/".join(parts[-depth:])
                exact.setdefault(key, []).append(number)
                plain.setdefault(_without_ending(key), []).append(number)
    keys = ["/".join(parts) for parts in wanted]
    return [exact.get(key) or plain.get(_without_ending(key) if guess else key, []) for key in keys]


def _parts(name: str) -> list[str]:
    """Folders and file in small letters, without a drive."""
    path = re.sub(r"^[a-zA-Z]:", "", name.strip().replace("\\", "/")).casefold()
    return [part for part in path.split("/") if part not in ("", ".")]


def _without_ending(path: str) -> str:
    stem, point, ending = path.rpartition(".")
    return stem if point and f".{ending}" in EXTENSIONS else path
