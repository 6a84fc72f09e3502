"""Opening the cache of decoded images that belongs to some data, if it is there and can be trusted."""

from __future__ import annotations

import math
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
    contents: Contents, folder: Path, wanted: tuple[int, ...], split: Split, looked_at: set[Path] | None
) -> CachedReader:
    """Open a cache for the images of one split.

    The cached size is that of the images, or else the least larger one from which they can be resized.

    Args:
        contents: what it holds.
        folder: the folder of caches.
        wanted: sides of the images.
        split: the split.
        looked_at: caches whose source files were compared already; this one joins them. None compares none.

    Raises:
        UserError: no such cache, a damaged one, files that were replaced, or images of the split that are not in it.
    """
    for size in sorted(_sizes(folder), key=lambda size: (size != wanted, math.prod(size))):
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


def _hint(folder: Path, size: tuple[int, ...]) -> str:
    return (
        "With the --config and the --data flags of this run: "
        f"transfusion data prepare --data.cache {shlex.quote(str(folder))} --size {_named(size)}"
    )


def _named(size: tuple[int, ...]) -> str:
    return str(size[0]) if len(set(size)) == 1 else "x".join(map(str, size))


def _sizes(folder: Path) -> set[tuple[int, ...]]:
    """Sizes in a folder of caches."""
    found = (re.fullmatch(r"(\d{1,5}(?:x\d{1,5}){1,2})-[0-9a-f]{16}", path.name) for path in folder.glob("*x*-*"))
    return {tuple(map(int, match[1].split("x"))) for match in found if match}


def _serves(cached: tuple[int, ...], wanted: tuple[int, ...], resize: ResizeMode) -> bool:
    """Whether resizing from a cached size gives what resizing from the source would."""
    if cached == wanted:
        return True
    if len(cached) != len(wanted) or resize == "pad":  # the margin depends on the size
        return False
    if any(side < least for side, least in zip(cached, wanted, strict=True)):
        return False
    return resize == "stretch" or all(
        side * wanted[0] == cached[0] * least for side, least in zip(cached, wanted, strict=True)
    )
