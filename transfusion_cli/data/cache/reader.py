"""Reading images that were decoded and resized once, from files that all processes map into memory."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.cache.files import ARRAYS, DEEP, RECORD, RECORDS, damaged, load_array
from transfusion_cli.data.cache.place import CachePlace
from transfusion_cli.errors import UserError


class CachedReader:
    """Takes images from a cache, which every process maps for itself.

    A process compares the checksum of an image when it first reads it: whatever is used was compared, and nothing is
    read for that alone.

    Args:
        place: the cache.
        path: its folder while it is not whole; ``place.path`` if None.

    Raises:
        UserError: files that are missing, truncated, or of another shape.
    """

    def __init__(self, place: CachePlace, path: Path | None = None) -> None:
        self.path, self.rows, self.shape = path or place.path, place.rows, place.shape
        records = load_array(self.path / RECORDS, (len(place.sources),), RECORD)
        self.state, self.checksums = (np.array(records[name][: len(self.rows)]) for name in ("state", "pixels"))
        if (self.state > max(ARRAYS)).any():
            raise damaged(self.path, f"{RECORDS}: unknown states")
        self._start()
        for state in ARRAYS:
            self._array(state)

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps: a copy makes its own."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._start()

    def __call__(self, row: int) -> np.ndarray:
        """Take the image of one row: uint8, or float32 in [0, 1] for deeper sources.

        Raises:
            UserError: it is damaged.
        """
        position = int(np.searchsorted(self.rows, row))
        image = self.pixels(position)
        if not self._compared[position]:
            if zlib.crc32(image.data) != self.checksums[position]:
                raise self._damaged(position)
            self._compared[position] = True
        return image.astype(np.float32) / np.float32(65535) if self.state[position] == DEEP else image

    def pixels(self, position: int) -> np.ndarray:
        """The image at a position, from 0, as it is stored; not compared."""
        return np.array(self._array(int(self.state[position]))[position])  # a copy: the map cannot be written to

    def is_intact(self, position: int) -> bool:
        """Whether the image at a position has its checksum."""
        return bool(zlib.crc32(self.pixels(position).data) == self.checksums[position])

    def _start(self) -> None:
        self._arrays: dict[int, np.ndarray] = {}
        self._compared = bytearray(len(self.rows))

    def _array(self, state: int) -> np.ndarray:
        if state not in self._arrays:
            name, dtype = ARRAYS[state]
            self._arrays[state] = load_array(self.path / name, self.shape, dtype)
        return self._arrays[state]

    def _damaged(self, position: int) -> UserError:
        name = load_array(self.path / "ids.npy", (len(self.rows),))[position]
        return UserError(
            f"The image {name} is damaged: its checksum is not that of when it was decoded\n"
            f"in {self.path / ARRAYS[int(self.state[position])][0]}\n"
            "Run transfusion data prepare again: it compares all images, and decodes anew what is damaged."
        )
