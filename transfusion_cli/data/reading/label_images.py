"""Reading images whose values are labels and not brightness: nothing is scaled, windowed or smoothed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ImageOps, UnidentifiedImageError

from transfusion_cli.data.reading.images import UNREADABLE, is_dicom, open_picture
from transfusion_cli.data.reading.tiff import read_tiff
from transfusion_cli.errors import UserError


def read_label_image(path: Path, indices: bool) -> np.ndarray:
    """Read the values of a mask as they are stored.

    Turned upright as EXIF says, as images are. Transparency is dropped, and colour whose channels agree is grey.

    Args:
        path: the file.
        indices: take the numbers of a palette for values where its first colour is black and others are no greys, as
            label images have them; else, and of any other palette, its colours.

    Returns:
        Integers (H, W), or uint8 (H, W, 3) for colours; 0 and 255 for files of one bit a pixel.

    Raises:
        UserError: the file is missing, truncated, no image, or holds fractions.
    """
    try:
        values = _dicom(path) if is_dicom(path) else _picture(path, indices)
    except FileNotFoundError:
        raise UserError(f"Mask not found: {path}\nCheck --data.root and the names of the masks.") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"Not a readable mask: {path}\n{reason}\nReplace the file, or leave the case out.") from error
    if values.dtype == bool:
        values = values * np.uint8(255)
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values % 1 == 0).all()):
            raise UserError(f"The mask {path} holds fractions\nA mask holds whole numbers, one for each class.")
        values = values.astype(np.int64)
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    return values


def _picture(path: Path, indices: bool) -> np.ndarray:
    try:
        with open_picture(path) as file:
            image = ImageOps.exif_transpose(file)
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        return read_tiff(path)
    if image.mode == "P":
        colours = np.asarray(image.convert("RGB"))
        first = (image.getpalette("RGB") or [])[:3]
        are_grey = (colours == colours[..., :1]).all()  # GIF and others number the greys in use
        return np.asarray(image) if indices and first == [0, 0, 0] and not are_grey else colours
    if image.mode in ("RGBA", "RGBX", "PA", "CMYK", "YCbCr", "RGBa"):
        image = image.convert("RGB")
    elif image.mode in ("LA", "La"):
        image = image.convert("L")
    return np.asarray(image)


def _dicom(path: Path) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array

    from transfusion_cli.data.reading.dicom import read_header
    from transfusion_cli.data.reading.limits import require_size

    try:
        header = read_header(path)
        require_size(header.Rows, header.Columns, header.SamplesPerPixel * -(-header.BitsAllocated // 8))
        return np.asarray(pixel_array(header))
    except OSError:
        raise
    except Exception as error:  # a damaged file can break pydicom anywhere
        raise ValueError(str(error) or type(error).__name__) from error
