"""What is noted of one image."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import numpy as np

from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.reading.images import open_picture
from transfusion_cli.data.reading.readers import FileReader

READ, MISSING, UNREADABLE, UNKNOWN, APART = 1, 2, 3, 4, 5
"""Values of ``state``; 0 for rows that were not looked at. The last two: see ``data.masks.mismatch``."""

FACTS = np.dtype(
    [
        ("state", "u1"),
        ("digest", "u8"),  # of the decoded pixels: among a million images two that differ agree once in 10^7 sets
        ("depth", "i4"),  # of a volume, else 0
        ("height", "i4"),
        ("width", "i4"),
        ("bits", "u1"),  # as stored, of one channel
        ("colour", "?"),  # as stored
        ("contrast", "f4"),  # standard deviation of the channel that varies most, full intensity is 1
        ("peak", "u2"),  # greatest value of a 16-bit grey file that is shown from 0 to FULL, else 0
    ]
)
"""One record an image."""

FULL = 65535
"""What 16-bit grey files, other than DICOM, have for white unless a window says otherwise."""

_MODES = {"1": (1, False), "L": (8, False), "LA": (8, False), "I": (32, False), "F": (32, False)}


class ImageLook:
    """Reads images, or volumes, and notes what ``FACTS`` says.

    Args:
        dims: axes of them, 2 or 3.
    """

    chunk = 16
    """Images that a process reads at a time."""

    dtype = FACTS

    def __init__(self, dims: int = 2) -> None:
        self.dims = dims

    def __call__(self, reader: Reader, row: int) -> np.ndarray:
        """Read the image of a row and note its facts.

        Raises:
            Exception: what the reader raises.
        """
        stored = None
        if isinstance(reader, FileReader):
            stored = as_stored(reader.root / reader.paths[row])
            if stored is not None and not stored[1] and reader.channels == 3:
                reader = copy.copy(reader)
                reader.channels = 1  # the other two would be the same
        return facts_of(np.asarray(reader(row)), stored, shows_all(reader), self.dims)


def facts_of(pixels: np.ndarray, stored: tuple[int, bool, bool] | None, whole_range: bool, dims: int = 2) -> np.ndarray:
    """Facts of one image: one record of ``FACTS``.

    Args:
        pixels: (H, W), (H, W, 3) or (D, H, W).
        stored: what ``as_stored`` told.
        whole_range: as ``shows_all`` told.
        dims: axes.
    """
    import cv2

    sides = pixels.shape[:dims]
    pixels = _grey_if_possible(pixels) if dims == 2 else np.ascontiguousarray(pixels)
    full = 255 if pixels.dtype == np.uint8 else 1
    digest = hashlib.sha1(f"{pixels.dtype} {pixels.shape}".encode(), usedforsecurity=False)  # the fastest there is
    digest.update(pixels.data)
    number = int.from_bytes(digest.digest()[:8], "little")
    contrast = float(cv2.meanStdDev(pixels if dims == 2 else pixels.reshape(len(pixels), -1))[1].max()) / full
    bits, colour, is_full = stored or (8 * pixels.itemsize, pixels.ndim > dims, False)
    peak = _peak(pixels) if is_full and whole_range else 0
    return np.array((READ, number, *(0, *sides)[-3:], bits, colour, contrast, peak), FACTS)


def greatest(reader: Reader, row: int) -> int:
    """Greatest value of a 16-bit grey file that is shown from 0 to ``FULL``; 0 for others, of which no pixel is read.

    Raises:
        UserError: the file cannot be read.
    """
    if not (isinstance(reader, FileReader) and shows_all(reader)):
        return 0
    stored = as_stored(reader.root / reader.paths[row])
    return _peak(reader(row)) if stored is not None and stored[2] else 0


def shows_all(reader: object) -> bool:
    """Whether what a file may hold is shown from black to white, as no window is given."""
    return getattr(reader, "window", None) is None


def _peak(pixels: np.ndarray) -> int:
    return round(float(pixels.max()) * FULL)


def _grey_if_possible(pixels: np.ndarray) -> np.ndarray:
    """One channel of those that are all the same, so that a grey file equals its copy in colour."""
    import cv2

    if pixels.ndim == 3:
        first, *others = cv2.split(pixels)  # contiguous, which makes the comparison fast
        if all(np.array_equal(first, other) for other in others):
            return np.asarray(first)
    return np.ascontiguousarray(pixels)


def as_stored(path: Path) -> tuple[int, bool, bool] | None:
    """What the header tells, if anything: bits of one channel, whether there is colour, whether white is ``FULL``."""
    try:
        with open_picture(path) as file:
            return (16, False, True) if file.mode.startswith("I;16") else (*_MODES.get(file.mode, (8, True)), False)
    except (OSError, SyntaxError, ValueError):  # other formats, and files that reading will complain of
        pass
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                return int(page.bitspersample), page.samplesperpixel > 1, False
        from transfusion_cli.data.reading.dicom import read_header

        header = read_header(path, stop_before_pixels=True)
        return int(header.BitsStored), int(header.SamplesPerPixel) > 1, False
    except Exception:  # whatever broken headers do to these libraries
        return None
