"""Reading DICOM images as they are meant to be shown."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from transfusion_cli.data.reading.intensity import Window, require_finite, scale
from transfusion_cli.data.reading.limits import require_inflated, require_size

if TYPE_CHECKING:
    from pydicom import Dataset

# What pydicom warns of, odd types and lengths of elements, nobody here can mend; what matters is an error.
warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")

_HEADER = 1 << 24
"""Bytes that all of a file but its pixels may take."""

_PIXELS = 0x7FE00008
"""Tag from which on there are pixels."""


def read_dicom(path: Path, window: Window | None = None) -> np.ndarray:
    """Read one single-frame DICOM image.

    Rescale slope and intercept (or the modality table) give the values; then come the window, by order: the
    given one, the file's table or window, 0 to the largest code for 8-bit images without rescaling, the range of
    the values. MONOCHROME1 is inverted so that, as everywhere else, larger means brighter.

    Args:
        path: the file.
        window: centre and width in rescaled values (Hounsfield units for CT).

    Returns:
        (H, W) or (H, W, 3); uint8 for 8-bit images, else float32 in [0, 1].

    Raises:
        OSError: missing file.
        ValueError: no DICOM file, truncated, several frames, no pixels, or an encoding without a decoder.
    """
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    try:
        header = read_header(path)
        if "PixelData" not in header:
            raise ValueError("a DICOM file without pixels" if "SOPClassUID" in header else "not a DICOM file")
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise ValueError(f"{header.NumberOfFrames} frames: a single image is expected")
        require_size(header.Rows, header.Columns, _pixel(header))
        pixels = pixel_array(header)
        if header.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, header)
        if pixels.ndim == 3:
            return pixels if pixels.dtype == np.uint8 else scale(pixels, 0, np.iinfo(pixels.dtype).max)
        shown = _show(apply_modality_lut(pixels, header), header, window)
    except OSError:
        raise
    except Exception as error:  # a damaged file can break pydicom anywhere
        raise ValueError(str(error) or type(error).__name__) from error
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return shown if header.BitsStored > 8 else np.rint(shown * 255).astype(np.uint8)


def read_header(path: Path, stop_before_pixels: bool = False) -> Dataset:
    """Read a DICOM file, with its preamble or without. What is deflated may hold no more than it declares.

    Raises:
        OSError: missing file.
        Exception: what pydicom raises, and ValueError for a deflated file that goes on and on.
    """
    import pydicom

    with path.open("rb") as file:
        has_preamble = file.read(132)[128:] == b"DICM"
        _check_deflated(file, 132 if has_preamble else 0)
    return pydicom.dcmread(path, force=not has_preamble, stop_before_pixels=stop_before_pixels)


def _check_deflated(file: BinaryIO, start: int) -> None:
    from pydicom.filereader import read_dataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    file.seek(start)
    try:
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    except Exception:  # of which ``dcmread`` has more to say
        return
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    packed, declared = file.read(), 0
    with contextlib.suppress(Exception):
        begin = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _HEADER)
        header = read_dataset(io.BytesIO(begin), False, True, stop_when=lambda tag, *_: tag >= _PIXELS)
        require_size(header.Rows, header.Columns, _pixel(header))
        declared = header.Rows * header.Columns * _pixel(header)
    require_inflated(packed, declared + _HEADER, -zlib.MAX_WBITS)


def _pixel(header: Dataset) -> int:
    """Bytes of one pixel."""
    return int(header.SamplesPerPixel) * math.ceil(int(header.BitsAllocated) / 8)


def _first(value: Any) -> float:
    """Files may offer several windows; the first is the main one."""
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _show(values: np.ndarray, header: Dataset, window: Window | None) -> np.ndarray:
    from pydicom.pixels.processing import apply_voi

    require_finite(values)
    if window is None and header.get("VOILUTSequence"):
        return scale(apply_voi(values, header), 0, 2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    function = "LINEAR_EXACT"
    if window is None and header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        window = _first(header.WindowCenter), _first(header.WindowWidth)
        function = header.get("VOILUTFunction") or "LINEAR"
    if window is not None:
        return _apply_window(values, *window, function)
    slope, intercept = _first(header.get("RescaleSlope", 1)), _first(header.get("RescaleIntercept", 0))
    rescaled = "ModalityLUTSequence" in header or (slope, intercept) != (1, 0)
    if header.BitsStored <= 8 and not rescaled and values.min() >= 0:
        return scale(values, 0, 2**header.BitsStored - 1)
    return scale(values, values.min(), values.max())


def _apply_window(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """Window functions of DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3, to 0..1."""
    if function == "SIGMOID":
        return scale(1 / (1 + np.exp(-4 * (values.astype(np.float32) - center) / width)), 0, 1)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    return scale(values, center - width / 2, center + width / 2)
