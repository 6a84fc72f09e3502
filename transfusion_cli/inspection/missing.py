"""Which image files are not there, found out without opening any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.layout.find_files import find_files
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.inspection.counts import ALL_SPLITS

THREADS = 16
"""Folders that are listed at a time: on network disks each is waited for."""


def missing_rows(data: MedicalDataModule) -> np.ndarray:
    """Rows in a split of which a file is not there (M,); none for data that are no files.

    Each folder is listed once, and only a file that its folder does not list is looked at by itself: the disk may not
    tell upper and lower case apart, or forbid to list.
    """
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(rows for rows, _, _ in _missing(data))]))


def missing_remark(data: MedicalDataModule) -> str | None:
    """How many image files are not there, an example, and what may be wrong, in two lines; None where all are."""
    found = [part for part in _missing(data) if len(part[0])]
    if not found:
        return None
    _, root, names = min(found, key=lambda part: int(part[0][0]))
    names = np.concatenate([part[2] for part in found if part[1] == root])
    missing, total = sum(len(part[0]) for part in found), int((data.samples.split != "").sum())
    what = f"{missing:,} of {total:,} {data.unit} are not there, for example {root / str(names[0])}"
    return f"{what}\n{_advice(root, names)}"


def _missing(data: MedicalDataModule) -> Iterator[tuple[np.ndarray, Path, np.ndarray]]:
    """Of each split the rows with a file that is not there (M,), the folder, and for each row that file's name."""
    for split in ALL_SPLITS:
        rows = data.samples.rows(split)  # type: ignore[arg-type]
        if not len(rows):
            continue
        if isinstance(data, MaskDataModule):
            root, names = data.folder or Path(), data.file_names()[rows]
        elif isinstance(reader := data.make_reader(split, None), FileReader):  # type: ignore[arg-type]
            root, names = reader.root, reader.paths[rows, None]
        else:
            continue
        if not names.size:  # drawn, not read
            continue
        missing = np.zeros(names.shape, dtype=bool)
        named = names != ""
        missing[named] = ~_are_there(root, names[named])
        some = missing.any(axis=1)
        yield rows[some], root, np.array([name[gone][0] for name, gone in zip(names[some], missing[some], strict=True)])


def _are_there(root: Path, paths: np.ndarray) -> np.ndarray:
    folders: dict[str, list[tuple[int, str]]] = {}
    for row, path in enumerate(paths.tolist()):
        folder, name = os.path.split(path)
        folders.setdefault(os.path.join(root, folder), []).append((row, name))
    known = np.zeros(len(paths), dtype=bool)
    with ThreadPoolExecutor(THREADS) as pool:
        for rows in pool.map(_present, folders, folders.values()):
            known[rows] = True
    return known


def _present(folder: str, files: list[tuple[int, str]]) -> list[int]:
    """Rows of the files that are in a folder."""
    try:
        listed = set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        listed = set()
    return [row for row, name in files if name in listed or os.path.isfile(os.path.join(folder, name))]


def _advice(root: Path, names: np.ndarray) -> str:
    """What may be meant by paths that are not there."""
    if not root.is_dir():
        return f"There is no folder {root}: check --data.root"
    found = find_files(root, names, guess=True)
    if found.found.any():
        name, path = found.example
        number = f"{found.found.sum():,} of these {len(names):,}"
        return f"Under other names {number} are: {path}, where the table says {name}. Correct the table"
    if found.doubt:
        return f"It may be {' or '.join(found.doubt[:2])}: take a folder that has one of them for --data.root"
    return "Check --data.root and the paths in the table"
