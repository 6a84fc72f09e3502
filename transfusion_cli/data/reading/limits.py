"""How much a file may unpack to: a few kilobytes of a hostile one would fill the memory or the disk."""

from __future__ import annotations

import math
import zlib

MAX_PIXELS = 2 * 89_478_485
"""Pixels of an image, as many as Pillow decodes: 13,377 x 13,377."""

MAX_BYTES = 4 * MAX_PIXELS
"""Bytes of a decoded image, 716 MB: what the largest takes for Pillow, at four bytes a pixel."""

MAX_VOXELS = 2**32
"""Numbers in a volume with all its channels: a CT of 1,024 x 1,024 pixels and 1,000 slices has a quarter of them."""

_STEP = 1 << 20


def require_size(height: int, width: int, pixel: int) -> None:
    """Fail where an image says that it is larger than any that is meant.

    Args:
        height: in pixels.
        width: in pixels.
        pixel: bytes of one.

    Raises:
        ValueError: its size.
    """
    if height * width > MAX_PIXELS or height * width * pixel > MAX_BYTES:
        raise ValueError(f"{height:,} x {width:,} pixels are more than the {MAX_PIXELS:,} that an image may have")


def require_voxels(shape: tuple[int, ...]) -> None:
    """Fail where a volume says that it is larger than any that is meant, or that nothing is in it.

    Args:
        shape: its sides and its channels.

    Raises:
        ValueError: its size.
    """
    if not 0 < math.prod(map(int, shape)) <= MAX_VOXELS:
        raise ValueError(f"{' x '.join(map(str, shape))} voxels, where a volume may have 1 to {MAX_VOXELS:,}")


def require_inflated(packed: bytes, most: int, window: int = zlib.MAX_WBITS) -> None:
    """Fail where compressed data hold more than they should. No more than a megabyte of them is kept.

    Args:
        packed: a deflate stream.
        most: bytes that it should unpack to at most.
        window: as for ``zlib.decompressobj``: negative for a stream without header.

    Raises:
        ValueError: there is more.
        zlib.error: It is damaged.
    """
    stream, size = zlib.decompressobj(window), 0
    while packed and size <= most:
        size += len(stream.decompress(packed, _STEP))
        packed = stream.unconsumed_tail
    if size > most:
        raise ValueError(f"it unpacks to more than the {most:,} bytes that it should have")
