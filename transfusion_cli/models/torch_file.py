"""Reading files that ``torch.save`` wrote: as data, and not without a look at their checksums."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

ZIP = b"PK\3\4"
"""How the files begin that ``torch.save`` writes."""

FOLDER = 0x10
"""The bit of a zip entry's attributes that has it taken for a folder, without content."""

PIECE = 1 << 20
"""Bytes compared at a time."""


class DamagedFile(ValueError):
    """A file does not hold what was written to it."""


def read_torch_file(path: Path) -> Any:
    """What a file holds, on the CPU; no code in it runs.

    Raises:
        DamagedFile: its checksums say that it was changed.
        Exception: what ``torch.load`` makes of broken files.
    """
    with path.open("rb") as file:
        begin = file.read(len(ZIP))
    if begin == ZIP:
        compare_checksums(path)
    elif begin[:1] != pickle.PROTO:  # with which those from before PyTorch 1.6 begin, that have no checksums
        raise DamagedFile("not in PyTorch's format")
    return torch.load(path, map_location="cpu", weights_only=True)


def compare_checksums(path: Path) -> None:
    """Compare the CRC-32 of everything in a file with that of when it was written.

    ``torch.save`` writes one for each tensor into its zip file, and ``torch.load`` looks at none of them: with a
    flipped bit it loads other weights and says nothing. What it reads must be what is compared here: entries that it
    takes otherwise than Python does are refused. The cost is about four fifths of that of ``torch.load``.

    Raises:
        DamagedFile: they differ.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if not any(entry.CRC for entry in entries):  # torch.serialization.set_crc32_options(False)
                return
            for entry in entries:
                if entry.compress_type or entry.file_size != entry.compress_size or entry.external_attr & FOLDER:
                    raise DamagedFile(f"{entry.filename} is not as torch.save writes it")
                with archive.open(entry) as content:
                    while content.read(PIECE):
                        pass
    except Exception as error:  # a damaged directory can break the parser anywhere
        raise DamagedFile(str(error) or type(error).__name__) from error
