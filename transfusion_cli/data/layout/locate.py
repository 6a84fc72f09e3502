"""Finding the files of images that a table names without their extension, or with another one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.reading.images import EXTENSIONS
from transfusion_cli.data.samples import as_text

log = logging.getLogger(__name__)


def image_key(name: str) -> str:
    """What an image is called, in small letters, without folders and extension: ``20_left`` of ``a/20_Left.JPG``."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    return (path.stem if path.suffix.lower() in EXTENSIONS else path.name).lower()


def locate(folder: Path, part: str, names: Iterable[str], suffix: str) -> np.ndarray:
    """Path of each named image relative to ``folder``, found anywhere below ``folder/part``.

    Names are compared by :func:`image_key`; of several such files the one in the fewest folders counts. An image that
    is not there gets the path where it was expected, so that reading it, or ``verify``, says that it is missing.

    Args:
        folder: folder of the data set.
        part: folder in it, or ``.``.
        names: names of the images (N,).
        suffix: extension that a missing image should have had.
    """
    prefix = "" if part == "." else f"{part}/"
    files = sorted(image_files(folder / part), key=lambda path: (-path.count("/"), path))
    found = {image_key(path): prefix + path for path in files}
    names = list(names)
    missing = [name for name in names if image_key(name) not in found]
    if missing and len(missing) < len(names):
        text = "%d of %d images are not in %s, for example %s"
        log.warning(text, len(missing), len(names), folder / part, missing[0])
    return as_text(found.get(image_key(name), f"{prefix}{PurePosixPath(name).stem}{suffix}") for name in names)
