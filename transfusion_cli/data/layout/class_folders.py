"""Classes and splits from the names of folders."""

from __future__ import annotations

import logging
import os
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from transfusion_cli.data.layout.split_column import SPLIT_NAMES
from transfusion_cli.data.layout.tree import image_files, is_content, some
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

_HINT = "Expected <class>/<image> or {train,val,test}/<class>/<image> below it, or a table: --data.table FILE"

_LINES = 5
"""Folders that are told of."""


@dataclass
class ClassFolders:
    """What a tree of class folders says.

    Args:
        paths: image files relative to the root (N,).
        classes: folder that tells the class of each (N,).
        split: ``train``, ``val`` or ``test`` for each (N,), or None where no folder tells.
    """

    paths: list[str]
    classes: list[str]
    split: list[str] | None


def class_folders(root: Path) -> ClassFolders:
    """Find ``<class>/<image>``, ``{train,val,test}/<class>/<image>`` or ``<class>/{train,val,test}/<image>``.

    Images may lie at any further depth. Of images and folders that have no place in this the log tells.

    Raises:
        UserError: no folder, no class folders with images, or one class alone.
    """
    if not root.is_dir():
        raise UserError(f"No folder {root}\n{_HINT}")
    files = [path.split("/") for path in image_files(root)]
    level = _split_level(root, files)
    class_level = 1 if level == 0 else 0
    used = [parts for parts in files if _has_place(parts, level)]
    _tell_passed_over(root, [parts for parts in files if not _has_place(parts, level)], level)
    if not used:
        raise UserError(f"No images in class folders of {root}\n{_HINT}")
    classes = [parts[class_level] for parts in used]
    if len(set(classes)) == 1:
        raise _one_class(root, used, class_level)
    _tell_empty(root, files, {"/".join(parts[:class_level]) for parts in used})
    split = None if level is None else [SPLIT_NAMES[parts[level].lower()] for parts in used]
    return ClassFolders(["/".join(parts) for parts in used], classes, split)


def _split_level(root: Path, files: Sequence[Sequence[str]]) -> int | None:
    """Depth of the folders called train, val and test: above the classes, in every class, or nowhere."""
    if any(len(parts) > 1 and _split(parts[0]) == "train" for parts in files):
        return 0
    classes = {parts[0] for parts in files if len(parts) > 1 and not _split(parts[0])}
    with_train = {parts[0] for parts in files if len(parts) > 2 and _split(parts[1]) == "train"}
    without = sorted(classes - with_train)
    if classes & with_train and without:
        log.warning("%s: folders called train make no split, because there is none in %s", root, some(without))
    return 1 if classes and not without else None


def _has_place(parts: Sequence[str], split_level: int | None) -> bool:
    match split_level:
        case None:
            return len(parts) > 1 and not _split(parts[0])
        case 0:
            return len(parts) > 2 and bool(_split(parts[0]))
        case _:
            return len(parts) > 2 and bool(_split(parts[1])) and not _split(parts[0])


def _split(name: str) -> str | None:
    return SPLIT_NAMES.get(name.lower())


def _tell_passed_over(root: Path, files: Sequence[Sequence[str]], level: int | None) -> None:
    """Say what has no place, folder by folder."""
    numbers = Counter(tuple(parts[:-1][: 2 if level == 1 else 1]) for parts in files)
    nested = {parts[0] for parts in files if len(parts) > 2}
    for place, number in sorted(numbers.items())[:_LINES]:
        if level == 1 and place:
            why = "no folder tells their split"
        elif not place or (level == 0 and _split(place[0])) or (level is None and place[0] not in nested):
            why = "no folder tells their class"
        else:
            why = "they lie beside train" if level == 0 else "there is no folder train beside it"
        where = f"in {'/'.join(place)}" if place else "in no folder"
        log.warning("%s: images passed over %s: %d (%s)", root, where, number, why)
    if len(numbers) > _LINES:
        log.warning("%s: images passed over in %d more folders", root, len(numbers) - _LINES)


def _tell_empty(root: Path, files: Sequence[Sequence[str]], places: Collection[str]) -> None:
    """Name the folders that would be classes and hold no images, in the folders that hold the classes."""
    filled = {"/".join(parts[:depth]) for parts in files for depth in range(1, len(parts))}
    there = {
        f"{place}/{entry.name}".lstrip("/")
        for place in places
        for entry in os.scandir(root / place)
        if entry.is_dir(follow_symlinks=False) and is_content(entry.name)
    }
    if there - filled:
        log.warning("%s: there is no image in %s", root, some(sorted(there - filled)))


def _one_class(root: Path, used: Sequence[Sequence[str]], level: int) -> UserError:
    """Of one class there is nothing to learn; often its folder holds the classes."""
    only = "/".join(used[0][: level + 1])
    inner = sorted({parts[level + 1] for parts in used if len(parts) > level + 2})
    message = f"Labels need at least two classes, found {[used[0][level]]}\nin {root}"
    if len(inner) > 1 and not level:
        return UserError(f"{message}\nIts folders are {some(inner)}: --data.root {shlex.quote(str(root / only))}")
    return UserError(f"{message}\n{_HINT}")
