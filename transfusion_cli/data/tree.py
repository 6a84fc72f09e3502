"""Finding image files in a tree."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from transfusion_cli.data.images import EXTENSIONS


def image_files(folder: Path, suffixes: Collection[str] = EXTENSIONS) -> list[str]:
    """Paths of all images below a folder, relative to it, with forward slashes, sorted.

    What archives of macOS and Windows leave behind is passed over: hidden files, ``__MACOSX``, ``Thumbs.db``.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX" and not name.startswith(".")]
        prefix = Path(place).relative_to(folder).as_posix()
        prefix = "" if prefix == "." else prefix + "/"
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                found.append(prefix + name)
    return sorted(found)
