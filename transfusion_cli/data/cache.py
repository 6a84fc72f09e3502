"""Opening the cache of decoded images that belongs to a data module, if it is there and can be trusted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from transfusion_cli.data.cache_files import ABSENT, RECORD, RECORDS, load_array
from transfusion_cli.data.cache_place import CachePlace
from transfusion_cli.data.cache_reader import CachedReader
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.data.base import MedicalDataModule
    from transfusion_cli.data.samples import Split

_LOOKED_AT: WeakKeyDictionary[MedicalDataModule, set[Path]] = WeakKeyDictionary()
"""Caches whose source files a run has looked at: once is enough, not once for each split."""


def open_cache(data: MedicalDataModule, folder: Path, split: Split) -> CachedReader:
    """Open the cache of a data module for the images of one split.

    The cached size is that of the images, or else the least larger one from which they can be resized.

    Raises:
        UserError: No such cache, a damaged one, files that were replaced, or images of the split that are not in it.
    """
    sizes = sorted(_sizes(folder), key=lambda size: (size != data.size, size[0] * size[1]))
    for size in sizes:
        place = CachePlace.of(data, folder, size) if _serves(size, data) else None
        if place is not None and place.path.is_dir():
            reader = CachedReader(place)
            _require_sources(data, place)
            missing = (reader.state[np.searchsorted(place.rows, data.samples.rows(split))] == ABSENT).sum()
            if missing:
                raise UserError(
                    f"{missing} images of the {split} split are not in the cache {place.path}\n{_hint(data, size)}"
                )
            return reader
    raise UserError(f"no decoded images of these data at {_named(data.size)} in {folder}\n{_hint(data, data.size)}")


def _require_sources(data: MedicalDataModule, place: CachePlace) -> None:
    """Fail if files were replaced since they were decoded; asked by one process of a machine, once in a run."""
    seen = _LOOKED_AT.setdefault(data, set())
    if place.path in seen or (data.trainer is not None and data.trainer.local_rank):
        return
    records = np.array(load_array(place.path / RECORDS, (len(place.sources),), RECORD))
    replaced = place.sources.replaced(records)
    if len(replaced):
        others = f", nor are {len(replaced) - 1:,} others" if len(replaced) > 1 else ""
        raise UserError(
            f"{place.sources.name(replaced[0])} is not the file that the cache was made from{others}\n"
            f"in {place.path}\n{_hint(data, place.size)}"
        )
    seen.add(place.path)


def _hint(data: MedicalDataModule, size: tuple[int, int]) -> str:
    return (
        "With the --config and the --data flags of this run: "
        f"transfusion data prepare --data.cache {shlex.quote(str(data.cache))} --size {_named(size)}"
    )


def _named(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _sizes(folder: Path) -> set[tuple[int, int]]:
    """Sizes in a folder of caches."""
    found = (re.fullmatch(r"(\d{1,5})x(\d{1,5})-[0-9a-f]{16}", path.name) for path in folder.glob("*x*-*"))
    return {(int(match[1]), int(match[2])) for match in found if match}


def _serves(cached: tuple[int, int], data: MedicalDataModule) -> bool:
    """Whether resizing from a cached size gives what resizing from the source would."""
    height, width = data.size
    if cached == (height, width):
        return True
    if cached[0] < height or cached[1] < width or data.resize == "pad":  # the margin depends on the size
        return False
    return data.resize == "stretch" or cached[0] * width == cached[1] * height
