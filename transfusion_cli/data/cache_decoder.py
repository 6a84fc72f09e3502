"""Decoding images into the files of a cache, over several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.cache_place import ABSENT, ARRAYS, DEEP, SHALLOW, CachePlace, readers
from transfusion_cli.data.loader import quiet_worker
from transfusion_cli.data.resize import Resize
from transfusion_cli.errors import UserError

Part = tuple[list[int], list[int], dict[int, str], str]
"""Positions, their states, why some cannot be read, and why writing failed (empty where it did not)."""


class Decoder(Dataset[Part]):
    """Decodes images into the files of a cache; runs in the worker processes."""

    def __init__(self, place: CachePlace, data: MedicalDataModule, part: Path) -> None:
        self.rows, self.part = place.rows, part
        self.split, self.readers = data.samples.split, readers(data)
        self.resize = Resize(place.size, data.resize)

    def read(self, position: int) -> np.ndarray:
        """The image of one position, resized."""
        row = int(self.rows[position])
        return self.resize(self.readers[self.split[row]](row))

    def __getitems__(self, positions: list[int]) -> Part:
        """Decode and write some images: positions, their states, why some cannot be read, why writing failed."""
        states, reasons = [], {}
        try:
            with _Writer(self.part, SHALLOW) as shallow, _Writer(self.part, DEEP) as deep:
                for position in positions:
                    try:
                        image = self.read(position)
                    except Exception as error:  # a damaged file can break a decoder anywhere
                        reasons[position] = str(error).partition(":")[0].splitlines()[0] or type(error).__name__
                        states.append(ABSENT)
                        continue
                    is_deep = image.dtype != np.uint8
                    if is_deep:
                        image = np.rint(image.astype(np.float64) * 65535).astype(np.uint16)
                    (deep if is_deep else shallow).write(position, image)
                    states.append(DEEP if is_deep else SHALLOW)
        except OSError as error:
            return [], [], {}, str(error)
        return positions, states, reasons, ""


class _Writer:
    """Writes images of one depth to their places in an array on disk.

    By write, not through a map: a full disk is an error then, and not the end of the process.
    """

    def __init__(self, part: Path, state: int) -> None:
        path = part / ARRAYS[state][0]
        mapped = np.load(path, mmap_mode="r")
        self.start, self.shape, self.itemsize = mapped.offset, mapped.shape[1:], mapped.dtype.itemsize
        self.file = path.open("r+b")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, position: int, image: np.ndarray) -> None:
        """Put an image in its place."""
        if image.shape != self.shape:
            raise ValueError(f"an image of shape {image.shape} where {self.shape} are expected")
        self.file.seek(self.start + position * image.nbytes)
        self.file.write(np.ascontiguousarray(image).data)


def decoded(decoder: Decoder, chunks: list[list[int]], workers: int) -> Iterator[Part]:
    """Decode chunks of positions over several processes; 0 and 1 decode in this one.

    Processes of a DataLoader end by themselves when this one is killed.

    Raises:
        UserError: One of them died.
    """
    workers = min(workers, len(chunks))
    loader = DataLoader(
        decoder,
        batch_sampler=chunks,
        num_workers=workers if workers > 1 else 0,
        collate_fn=_as_it_is,
        worker_init_fn=quiet_worker,
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            "a process that decoded images was killed: out of memory, or a decoder that crashed\n"
            "Try again with --workers 1; what was decoded is kept."
        ) from error


def _as_it_is(part: Any) -> Any:
    return part
