"""Reading image files: PNG, JPEG, TIFF and others by Pillow and tifffile, DICOM by pydicom."""

from __future__ import annotations

import logging
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from transfusion_cli.data.reading.gzipped import inflate
from transfusion_cli.data.reading.intensity import Window, require_finite, scale
from transfusion_cli.data.reading.tiff import read_tiff
from transfusion_cli.errors import UserError

_DICOM, _TIFF = {".dcm", ".dicom"}, {".tif", ".tiff"}
EXTENSIONS = {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".gif", ".ppm", ".pgm", *_TIFF, *_DICOM}

# What Pillow says of odd metadata nobody here can mend; what matters is an error that names the file.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

DECODER_VERSION = 1
"""Raised whenever the same file gives other pixels than before, here or in ``Resize``; caches are made anew then."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000")
"""What Pillow may decode: of its fifty kinds some are never tested, and EPS is a program that Ghostscript runs."""

_DEEP_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, Image.DecompressionBombError)
"""What damaged files raise, and what is no image."""


def read_image(
    path: Path | str,
    channels: int = 3,
    window: Window | None = None,
    at_least: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Read one image.

    Turned upright as its EXIF says. Transparency is dropped. Of a file with several pages the first is read.
    Grey files deeper than 8 bits keep their depth; 16-bit colour is read with 8 bits.

    Args:
        path: the file. DICOM is known by its suffix (.dcm, .dicom) or by the mark in its first 132 bytes.
        channels: 1 gives grey (H, W), 3 gives colour (H, W, 3).
        window: centre and width in source values, for DICOM and other sources deeper than 8 bits. Without it DICOM
            files are shown by their own window, or else from their least to their largest value, and 16-bit
            files from 0 to 65,535.
        at_least: height and width below which a large JPEG need not be decoded; a hint that saves time. The decoder
            then gives means of 2 x 2, 4 x 4 or 8 x 8 pixels, with sides at least twice these, and what is resized from
            those is not quite what is resized from all pixels: from 2,500 x 3,000 to 224 x 224 the two differ, in
            grey levels of 255, by 0.9 on average and 7 at most for images as rough as 1/f noise (standard deviation
            36 to 41), by 0.1 and 5 for smooth ones with an edge.

    Returns:
        uint8 in 0..255, or float32 in [0, 1] for sources deeper than 8 bits.

    Raises:
        UserError: the file is missing, truncated or no image.
    """
    path = Path(path)
    try:
        if is_dicom(path):
            from transfusion_cli.data.reading.dicom import read_dicom

            image = read_dicom(path, window)
        else:
            image = _read_with_pillow(path, channels, window, at_least)
    except FileNotFoundError:
        raise UserError(f"Image not found: {path}\nCheck --data.root and the paths in the table.") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"Not a readable image: {path}\n{reason}\nReplace the file or remove its row; --data.verify true finds all."
        ) from error
    return _with_channels(image, channels)


def open_picture(path: Path) -> Image.Image:
    """Open a file with Pillow, if it is of a kind meant here, whatever its name; gzipped where that ends in ``.gz``.

    Raises:
        OSError: missing, or nothing of the kind.
    """
    return Image.open(inflate(path) if path.suffix == ".gz" else path, formats=_FORMATS)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by its ending or, where that says nothing, by its mark.

    Raises:
        OSError: missing.
    """
    if path.suffix.lower() in EXTENSIONS:
        return path.suffix.lower() in _DICOM
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_with_pillow(path: Path, channels: int, window: Window | None, at_least: tuple[int, ...] | None) -> np.ndarray:
    try:
        with open_picture(path) as file:
            mode = "L" if channels == 1 else "RGB"
            if at_least is not None and file.mode in ("L", "RGB"):
                # Both sides long enough either way round, since EXIF may turn the image. Twice as long as needed: what
                # the decoder leaves out is then far above what the resized image can show.
                file.draft(mode, (2 * max(at_least), 2 * max(at_least)))
            image = ImageOps.exif_transpose(file)
            if image.mode in _DEEP_MODES:
                return _show_deep(np.asarray(image), window)
            if channels == 3 and image.mode in ("1", "L", "LA"):
                mode = "L"
            return np.asarray(image.convert(mode))
    except UnidentifiedImageError:
        if path.suffix.lower() not in _TIFF:
            raise
        array = read_tiff(path)
        return array if array.dtype == np.uint8 else _show_deep(array, window)


def _show_deep(array: np.ndarray, window: Window | None) -> np.ndarray:
    require_finite(array)
    if window is not None:
        return scale(array, window[0] - window[1] / 2, window[0] + window[1] / 2)
    if array.min() < 0 or array.max() > 65535:
        raise ValueError(f"values from {array.min()} to {array.max()}: say which to show with window: [centre, width]")
    is_fraction = array.dtype.kind == "f" and array.max() <= 1
    return scale(array, 0, 1 if is_fraction else 65535)


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if channels == 3 and image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    if channels == 1 and image.ndim == 3:
        grey = image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601 luma, as Pillow's "L"
        return np.rint(grey).astype(np.uint8) if image.dtype == np.uint8 else grey.astype(np.float32)
    return image
