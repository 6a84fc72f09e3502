"""Finding image files in a tree."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

from transfusion_cli.data.reading.images import EXTENSIONS

log = logging.getLogger(__name__)


def image_files(folder: Path, suffixes: Collection[str] = EXTENSIONS) -> list[str]:
    """Paths of all images below a folder, relative to it, with forward slashes, sorted.

    What archives of macOS and Windows leave behind is passed over: hidden files, ``__MACOSX``, ``Thumbs.db``. Links to
    folders are followed where they lead to what is not read yet: each folder counts once, and those that are no links
    come first. Of links that lead in a circle or to a folder read before, and of folders that cannot be read, the log
    tells.
    """
    found: list[str] = []
    read: set[tuple[int, int]] = set()
    links, idle = [""], list[str]()
    closed: list[OSError] = []

    def enter(start: str) -> None:
        for place, folders, files in os.walk(folder / start, onerror=closed.append):
            prefix = Path(place).relative_to(folder).as_posix()
            prefix = "" if prefix == "." else prefix + "/"
            if _identity(place) in read:
                idle.append(prefix.rstrip("/"))
                folders.clear()
                continue
            read.add(_identity(place))
            seen = sorted(name for name in folders if is_content(name))
            folders[:] = [name for name in seen if not os.path.islink(os.path.join(place, name))]
            links.extend(prefix + name for name in seen if name not in folders)
            found.extend(prefix + name for name in files if is_content(name) and _suffix(name) in suffixes)

    for link in links:  # which grows on the way
        if link and _leads_up(folder / link):
            idle.append(link)
        else:
            enter(link)
    if idle:
        text = "%s: links to folders that are read by another name, or that hold them, are passed over: %s"
        log.warning(text, folder, some(idle))
    if closed := [error for error in closed if not isinstance(error, FileNotFoundError)]:
        log.warning("Folders cannot be read: %s", some([f"{error.filename}: {error.strerror}" for error in closed]))
    return sorted(found)


def is_content(name: str) -> bool:
    """Whether a file or folder is one that somebody made, and not what a system left there."""
    return not name.startswith(".") and name != "__MACOSX"


def some(names: Collection[str], most: int = 3) -> str:
    """The first names of many."""
    first = ", ".join(list(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most} more"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _identity(place: str) -> tuple[int, int]:
    facts = os.stat(place)
    return facts.st_dev, facts.st_ino


def _leads_up(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return link.parent.resolve().is_relative_to(link.resolve())
