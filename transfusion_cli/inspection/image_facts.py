"""What is noted of one image."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import numpy as np

from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.readers import FileReader

READ, MISSING, UNREADABLE = 1, 2, 3
"""Values of ``state``; 0 for rows that were not looked at."""

FACTS = np.dtype(
    [
        ("state", "u1"),
        ("digest", "u8"),  # of the decoded pixels: among a million images two that differ agree once in 10^7 sets
        ("height", "i4"),
        ("width", "i4"),
        ("bits", "u1"),  # as stored, of one channel
        ("colour", "?"),  # as stored
        ("contrast", "f4"),  # standard deviation of the channel that varies most, full intensity is 1
    ]
)
"""One record an image."""

_MODES = {"1": (1, False), "L": (8, False), "LA": (8, False), "I": (32, False), "F": (32, False)}


def undisturbed(reader: Reader) -> Reader:
    """The same reader without what changes pixels on the way: JPEG is decoded whole, so truncated files are found."""
    reader = copy.copy(reader)
    if isinstance(reader, FileReader):
        reader.at_least = reader.process = None
    return reader


def image_facts(reader: Reader, row: int) -> np.ndarray:
    """Read the image of a row and note its facts: one record of ``FACTS``.

    Raises:
        Exception: What the reader raises.
    """
    import cv2

    stored = None
    if isinstance(reader, FileReader):
        stored = _as_stored(reader.root / reader.paths[row])
        if stored is not None and not stored[1] and reader.channels == 3:
            reader = copy.copy(reader)
            reader.channels = 1  # the other two would be the same
    pixels = _grey_if_possible(np.asarray(reader(row)))
    full = 255 if pixels.dtype == np.uint8 else 1
    digest = hashlib.sha1(f"{pixels.dtype} {pixels.shape}".encode(), usedforsecurity=False)  # the fastest there is
    digest.update(pixels.data)
    number = int.from_bytes(digest.digest()[:8], "little")
    contrast = float(cv2.meanStdDev(pixels)[1].max()) / full
    bits, colour = stored or (8 * pixels.itemsize, pixels.ndim == 3)
    return np.array((READ, number, *pixels.shape[:2], bits, colour, contrast), FACTS)


def _grey_if_possible(pixels: np.ndarray) -> np.ndarray:
    """One channel of those that are all the same, so that a grey file equals its copy in colour."""
    import cv2

    if pixels.ndim == 3:
        first, *others = cv2.split(pixels)  # contiguous, which makes the comparison fast
        if all(np.array_equal(first, other) for other in others):
            return np.asarray(first)
    return np.ascontiguousarray(pixels)


def _as_stored(path: Path) -> tuple[int, bool] | None:
    """Bits of one channel and whether the file has colour, from its header; None where there is none to read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            return (16, False) if file.mode.startswith("I;16") else _MODES.get(file.mode, (8, True))
    except (OSError, SyntaxError, ValueError):  # other formats, and files that reading will complain of
        pass
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                return int(page.bitspersample), page.samplesperpixel > 1
        import pydicom

        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return int(header.BitsStored), int(header.SamplesPerPixel) > 1
    except Exception:  # whatever broken headers do to these libraries
        return None
