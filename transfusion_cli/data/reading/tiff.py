"""Reading the kinds of TIFF that Pillow does not know, such as floating-point colour."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np

from transfusion_cli.data.reading.limits import MAX_BYTES, require_inflated, require_size

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of nobody here can mend; the rest it raises

_PLAIN = (1, 5, 32773)
"""Compressions that need no limit: none, and LZW and PackBits, whose decoders are told the size."""

_DEFLATE = (8, 32946)


def read_tiff(path: Path) -> np.ndarray:
    """Read the first page: (H, W), or (H, W, 3) with further channels cut off.

    Raises:
        OSError: missing file.
        ValueError: damaged, too large, or of a kind that is not read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if page.dtype is None:
                raise ValueError(f"a TIFF file with samples of {page.bitspersample} bits is not read")
            require_size(page.imagelength, page.imagewidth, page.samplesperpixel * page.dtype.itemsize)
            most = min(math.prod(page.chunks) * page.dtype.itemsize, MAX_BYTES)
            if page.compression in _DEFLATE:
                for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                    file.filehandle.seek(offset)
                    require_inflated(file.filehandle.read(length), most)
            elif page.compression not in _PLAIN:
                raise ValueError(f"a TIFF file with compression {page.compression!r} is not read")
            array = page.asarray()
    except OSError:
        raise
    except Exception as error:  # a damaged file can break tifffile anywhere
        raise ValueError(str(error) or type(error).__name__) from error
    if array.ndim == 3 and array.shape[0] in (3, 4) and array.shape[2] not in (3, 4):
        array = np.moveaxis(array, 0, 2)
    return array[..., :3] if array.ndim == 3 else array
