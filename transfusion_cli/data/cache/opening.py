"""Opening the cache of decoded images that belongs to some data, if it is there and can be trusted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np

from transfusion_cli.data.cache.contents import Contents
from transfusion_cli.data.cache.files import ABSENT, RECORD, RECORDS, load_array
from transfusion_cli.data.cache.place import CachePlace
from transfusion_cli.data.cache.reader import CachedReader
from transfusion_cli.data.samples import Split
from transfusion_cli.data.transform.resize import ResizeMode
from transfusion_cli.errors import UserError


def open_cache(
    contents: Contents, folder: Path, wanted: tuple[int, int], split: Split, looked_at: set[Path] | None
) -> CachedReader:
    """Open a cache for the images of one split.

    The cached size is that of the images, or else the least larger one from which they can be resized.

    Args:
        contents: what it holds.
        folder: the folder of caches.
        wanted: height and width of the images.
        split: the split.
        looked_at: caches whose source files were compared already; this one joins them. None compares none.

    Raises:
        UserError: no such cache, a damaged one, files that were replaced, or images of the split that are not in it.
    """
    for size in sorted(_sizes(folder), key=lambda size: (size != wanted, size[0] * size[1])):
        place = CachePlace.of(contents, folder, size) if _serves(size, wanted, contents.resize) else None
        if place is not None and place.path.is_dir():
            reader = CachedReader(place)
            if looked_at is not None and place.path not in looked_at:
                _require_sources(place)
                looked_at.add(place.path)
            missing = (reader.state[np.searchsorted(place.rows, contents.samples.rows(split))] == ABSENT).sum()
            if missing:
                raise UserError(
                    f"{missing} images of the {split} split are not in the cache {place.path}\n{_hint(folder, size)}"
                )
            return reader
    raise UserError(f"No decoded images of these data at {_named(wanted)} in {folder}\n{_hint(folder, wanted)}")


def _require_sources(place: CachePlace) -> None:
    """Fail if files were replaced since they were decoded."""
    records = np.array(load_array(place.path / RECORDS, (len(place.sources),), RECORD))
    replaced = place.sources.replaced(records)
    if len(replaced):
        others = f", nor are {len(replaced) - 1:,} others" if len(replaced) > 1 else ""
        raise UserError(
            f"{place.sources.name(replaced[0])} is not the file that the cache was made from{others}\n"
            f"in {place.path}\n{_hint(place.folder, place.size)}"
        )


def _hint(folder: Path, size: tuple[int, int]) -> str:
    return (
        "With the --config and the --data flags of this run: "
        f"transfusion data prepare --data.cache {shlex.quote(str(folder))} --size {_named(size)}"
    )


def _named(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _sizes(folder: Path) -> set[tuple[int, int]]:
    """Sizes in a folder of caches."""
    found = (re.fullmatch(r"(\d{1,5})x(\d{1,5})-[0-9a-f]{16}", path.name) for path in folder.glob("*x*-*"))
    return {(int(match[1]), int(match[2])) for match in found if match}


def _serves(cached: tuple[int, int], wanted: tuple[int, int], resize: ResizeMode) -> bool:
    """Whether resizing from a cached size gives what resizing from the source would."""
    height, width = wanted
    if cached == wanted:
        return True
    if cached[0] < height or cached[1] < width or resize == "pad":  # the margin depends on the size
        return False
    return resize == "stretch" or cached[0] * width == cached[1] * height
