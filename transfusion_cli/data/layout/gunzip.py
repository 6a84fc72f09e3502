"""Unpacking a gzipped file into a folder of the user's choice, once."""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
import zlib
from pathlib import Path

from transfusion_cli.errors import UserError


def gunzip(path: Path, folder: Path, most: int) -> Path:
    """Unpack ``NAME.h5.gz`` to ``NAME.CHECKSUM.h5`` in ``folder``, unless it is there.

    The checksum is the one that gzip keeps at the file's end, so another file of the same name is never taken for this
    one. Only a whole file appears under its name; processes that unpack at the same time do not disturb each other.

    Args:
        path: the packed file.
        folder: where to unpack it.
        most: bytes that it may unpack to. A packed file can hold a thousand times its size.

    Raises:
        UserError: damaged file, one that holds more, or no space; nothing is left behind.
    """
    from tqdm import tqdm

    part: Path | None = None
    try:
        with path.open("rb") as packed:
            size = packed.seek(-8, os.SEEK_END) + 8
            checksum = int.from_bytes(packed.read(4), "little")  # CRC-32, then the length: RFC 1952, 2.3.1
            packed.seek(0)
            inner = Path(path.stem)
            target = folder / f"{inner.stem}.{checksum:08x}{inner.suffix}"
            if target.is_file():
                return target
            folder.mkdir(parents=True, exist_ok=True)
            with (
                gzip.open(packed) as unpacked,
                tempfile.NamedTemporaryFile(dir=folder, prefix=f".{target.name}.", delete=False) as file,
                tqdm(desc=f"unpacking {path.name}", total=size, unit="B", unit_scale=True) as bar,
            ):
                part = Path(file.name)
                while chunk := unpacked.read(1 << 20):
                    file.write(chunk)
                    if file.tell() > most:
                        raise OSError(f"it unpacks to more than the {most:,} bytes that it should have")
                    bar.update(packed.tell() - bar.n)
        os.replace(part, target)
        return target
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"Cannot unpack {path}\nto {folder}: {error}\nMake room there, or get the file again if it is damaged."
        ) from error
    finally:
        if part is not None:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
