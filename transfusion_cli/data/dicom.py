"""Reading DICOM images as they are meant to be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.intensity import Window, scale

if TYPE_CHECKING:
    from pydicom import Dataset


def read_dicom(path: Path, window: Window | None = None) -> np.ndarray:
    """Read one single-frame DICOM image.

    Rescale slope and intercept (or the modality table) give the values; then come the window, by order: the
    given one, the file's table or window, 0 to the largest code for 8-bit images without rescaling, the range of
    the values. MONOCHROME1 is inverted so that, as everywhere else, larger means brighter.

    Args:
        path: The file.
        window: Centre and width in rescaled values (Hounsfield units for CT).

    Returns:
        (H, W) or (H, W, 3); uint8 for 8-bit images, else float32 in [0, 1].

    Raises:
        OSError: Missing file.
        ValueError: No DICOM file, truncated, several frames, no pixels, or an encoding without a decoder.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    try:
        header = pydicom.dcmread(path, force=not _has_preamble(path))
        if "PixelData" not in header:
            raise ValueError("a DICOM file without pixels" if "SOPClassUID" in header else "not a DICOM file")
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise ValueError(f"{header.NumberOfFrames} frames: a single image is expected")
        pixels = pixel_array(header)
        if header.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, header)
        if pixels.ndim == 3:
            return pixels if pixels.dtype == np.uint8 else scale(pixels, 0, np.iinfo(pixels.dtype).max)
        shown = _show(apply_modality_lut(pixels, header), header, window)
    except (InvalidDicomError, AttributeError, NotImplementedError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return shown if header.BitsStored > 8 else np.rint(shown * 255).astype(np.uint8)


def _has_preamble(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _first(value: Any) -> float:
    """Files may offer several windows; the first is the main one."""
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _show(values: np.ndarray, header: Dataset, window: Window | None) -> np.ndarray:
    from pydicom.pixels import apply_voi

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
        return (1 / (1 + np.exp(-4 * (values.astype(np.float32) - center) / width))).astype(np.float32)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    return scale(values, center - width / 2, center + width / 2)
