"""Reading images that were decoded and resized once, from files that all processes map into memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.cache_place import ABSENT, ARRAYS, DEEP, SHALLOW, CachePlace
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.data.base import MedicalDataModule
    from transfusion_cli.data.samples import Split


class CachedReader:
    """Takes images from a cache, which every process maps for itself.

    Args:
        place: The cache.
    """

    def __init__(self, place: CachePlace) -> None:
        self.path, self.rows = place.path, place.rows
        self.state = np.load(place.path / "state.npy")
        self._arrays: dict[int, np.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps: a copy makes its own."""
        return self.__dict__ | {"_arrays": {}}

    def __call__(self, row: int) -> np.ndarray:
        """Take the image of one row: uint8, or float32 in [0, 1] for deeper sources."""
        position = int(np.searchsorted(self.rows, row))
        if self.state[position] == DEEP:
            return self._array(DEEP)[position].astype(np.float32) / np.float32(65535)
        return np.array(self._array(SHALLOW)[position])  # a copy: the map cannot be written to

    def _array(self, state: int) -> np.ndarray:
        if state not in self._arrays:
            self._arrays[state] = np.load(self.path / ARRAYS[state][0], mmap_mode="r")
        return self._arrays[state]


def open_cache(data: MedicalDataModule, folder: Path, split: Split) -> CachedReader:
    """Open the cache of a data module for the images of one split.

    The cached size is that of the images, or else the least larger one from which they can be resized.

    Raises:
        UserError: No such cache, files that were replaced, or images of the split that are not in it.
    """
    sizes = sorted(_sizes(folder), key=lambda size: (size != data.size, size[0] * size[1]))
    for size in sizes:
        place = CachePlace.of(data, folder, size) if _serves(size, data) else None
        if place is not None and place.path.is_dir():
            place.check_sources(data, place.path)
            reader = CachedReader(place)
            missing = (reader.state[np.searchsorted(place.rows, data.samples.rows(split))] == ABSENT).sum()
            if missing:
                raise UserError(
                    f"{missing} images of the {split} split are not in the cache {place.path}\n{_hint(data)}"
                )
            return reader
    raise UserError(f"no decoded images of these data at {_named(data.size)} in {folder}\n{_hint(data)}")


def _hint(data: MedicalDataModule) -> str:
    return (
        "With the --config and the --data flags of this run: "
        f"transfusion data prepare --data.cache {data.cache} --size {_named(data.size)}"
    )


def _named(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _sizes(folder: Path) -> set[tuple[int, int]]:
    """Sizes in a folder of caches."""
    found = (path.parent.name.partition("-")[0].split("x") for path in folder.glob("*x*-*/index.json"))
    return {(int(height), int(width)) for height, width in found}


def _serves(cached: tuple[int, int], data: MedicalDataModule) -> bool:
    """Whether resizing from a cached size gives what resizing from the source would."""
    height, width = data.size
    if cached == (height, width):
        return True
    if cached[0] < height or cached[1] < width or data.resize == "pad":  # the margin depends on the size
        return False
    return data.resize == "stretch" or cached[0] * width == cached[1] * height
