"""Decoding images into the files of a cache, over several processes."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset

from transfusion_cli.data.cache.files import ARRAYS, DEEP, RECORD, SHALLOW, load_array
from transfusion_cli.data.cache.place import CachePlace
from transfusion_cli.data.loader import quiet_worker
from transfusion_cli.data.obedience import held_signals
from transfusion_cli.data.transform.resize import Resize, ResizeMode
from transfusion_cli.errors import Fault
from transfusion_cli.files import itself

Part = tuple[list[int], np.ndarray, dict[int, str], OSError | None]
"""Positions, their records, why some cannot be read, and why writing failed, if it did."""

T = TypeVar("T")


class Decoder(Dataset[Part]):
    """Decodes images into the files of a cache; runs in the worker processes.

    Args:
        place: the cache.
        resize: how images get to its size.
        part: its folder while it is not whole.
    """

    def __init__(self, place: CachePlace, resize: ResizeMode, part: Path) -> None:
        self.sources, self.part, self.shape = place.sources, part, place.shape
        self.resize = Resize(place.size, resize)

    def read(self, position: int) -> np.ndarray:
        """The image of one position, resized."""
        return self.resize(self.sources.read(position))

    def __getitems__(self, positions: list[int]) -> Part:
        """Decode and write some images: positions, their records, why some cannot be read, why writing failed."""
        records, reasons = np.zeros(len(positions), RECORD), {}
        try:
            with _Writer(self.part, self.shape, SHALLOW) as shallow, _Writer(self.part, self.shape, DEEP) as deep:
                for i, position in enumerate(positions):
                    file = self.sources.facts(position)
                    try:
                        image = np.ascontiguousarray(self.read(position))
                    except Exception as error:  # a damaged file can break a decoder anywhere
                        said = str(error).partition(":")[0].partition("\n")[0]
                        reasons[position] = said[:1].lower() + said[1:] or type(error).__name__  # said in brackets
                        continue
                    is_deep = image.dtype != np.uint8
                    if is_deep:
                        image = np.rint(image.astype(np.float64) * 65535).astype(np.uint16)
                    (deep if is_deep else shallow).write(position, image)
                    records[i] = (DEEP if is_deep else SHALLOW, zlib.crc32(image.data), *file)
        except OSError as error:
            return [], records[:0], {}, error
        return positions, records, reasons, None


class _Writer:
    """Writes images of one depth to their places in an array on disk.

    By write, not through a map: a full disk is an error then, and not the end of the process.
    """

    def __init__(self, part: Path, shape: tuple[int, ...], state: int) -> None:
        name, dtype = ARRAYS[state]
        self.start, self.shape = load_array(part / name, shape, dtype).offset, shape[1:]
        self.file = os.fdopen(itself(str(part / name), os.O_RDWR), "r+b")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, position: int, image: np.ndarray) -> None:
        """Put an image in its place."""
        if image.shape != self.shape:
            raise ValueError(f"an image of shape {image.shape} where {self.shape} are expected")
        self.file.seek(self.start + position * image.nbytes)
        self.file.write(image.data)


def decoded(decoder: Dataset[T], chunks: list[list[int]], workers: int) -> Iterator[T]:
    """Decode chunks of positions over several processes; 0 and 1 decode in this one.

    Processes of a DataLoader end by themselves when this one is killed.

    Raises:
        Fault: one of them died.
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
        with held_signals():
            parts = iter(loader)
        yield from parts
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise Fault(
            "A process that decoded images was killed: out of memory, or a decoder that crashed",
            "What was decoded is kept. Give --workers 1",
        ) from error


def _as_it_is(part: Any) -> Any:
    return part
