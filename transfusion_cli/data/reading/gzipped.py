"""Reading a gzipped image without a file to unpack it to, as STARE is published."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from transfusion_cli.data.reading.limits import MAX_BYTES


def inflate(path: Path) -> io.BytesIO:
    """What a gzipped file holds, if that is no more than an image may take.

    Raises:
        OSError: missing, damaged, or it holds more.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error) as error:
        raise OSError(f"a damaged gzip file: {error}") from error
    if len(content) > MAX_BYTES:
        raise OSError(f"it unpacks to more than the {MAX_BYTES:,} bytes that an image may have")
    return io.BytesIO(content)
