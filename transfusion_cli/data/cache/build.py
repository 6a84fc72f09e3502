"""Filling a cache of decoded images: over all cores, in as many attempts as it takes."""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import shutil
import time
from pathlib import Path

import numpy as np

import transfusion_cli
from transfusion_cli.data.cache.contents import Contents
from transfusion_cli.data.cache.decoder import Decoder, decoded
from transfusion_cli.data.cache.files import ABSENT, ARRAYS, RECORD, RECORDS, load_array, save_array, start_array
from transfusion_cli.data.cache.place import CachePlace
from transfusion_cli.data.cache.reader import CachedReader
from transfusion_cli.data.cache.sources import PATIENCE
from transfusion_cli.data.reading.images import DECODER_VERSION
from transfusion_cli.errors import Fault, UserError
from transfusion_cli.files import itself, not_written, whole_file, write_text
from transfusion_cli.lock import FileLock

log = logging.getLogger(__name__)

CHUNK = 16
"""Images that a process decodes at a time."""

SAVE_EVERY = 10.0
"""Seconds after which what was decoded is safe from a crash."""

PROBES = 8
"""Images read beforehand, to know how many bytes one takes."""


def build_cache(
    contents: Contents, folder: Path, size: tuple[int, ...], workers: int = 0, progress: bool = True
) -> CachePlace:
    """Decode every image of the splits once, and resize it.

    Large JPEG files are decoded at a reduced scale that is enough for this size, as when training reads the files
    at this size; how that differs from decoding them whole, ``read_image`` tells. An attempt that was interrupted
    goes on where it stopped; one that runs at the same time elsewhere is waited for. Of what is there already, images
    whose files were replaced, and those that are damaged, are decoded anew.

    Args:
        contents: what to decode.
        folder: the folder of caches; made if absent.
        size: sides of the images to keep.
        workers: processes; 0 and 1 decode in this one.
        progress: show a bar.

    Returns:
        Where the images are.

    Raises:
        Fault: it cannot be written.
        UserError: images that cannot be read (their ids are in ``<key>.unreadable.txt``), no space, a former attempt
            of which nothing can be used.
    """
    place = CachePlace.of(contents, folder, size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.beside("lock"))
        if not lock.acquire(timeout=0):
            log.info("another process is preparing these images; waiting for it")
        with lock:
            _Building(place, contents).run(workers, progress)
    except (Fault, OSError) as error:
        fault = error if isinstance(error, Fault) else not_written(Path(error.filename or place.path), error)
        raise Fault(fault.what, f"{fault.cure}, or give another folder with --data.cache") from error
    return place


class _Building:
    """One attempt at a cache, by the one process that holds its lock."""

    def __init__(self, place: CachePlace, contents: Contents) -> None:
        self.place, self.contents = place, contents
        self.part = place.beside("part")

    def run(self, workers: int, progress: bool) -> None:
        """Decode what is not there yet or no longer right, and give the folder its name."""
        place = self.place
        here = place.path if place.path.is_dir() else self.part
        if here.is_symlink():
            raise UserError(
                f"{here} is a link\nA cache is written to its own folder, and not to where a link leads.\n"
                "Remove the link, or give another folder with --data.cache."
            )
        if here == self.part and not (here / RECORDS).exists():
            self.begin()
        self.records, is_stale = self.review(here, progress)
        if is_stale and here == place.path:
            self.renew()
        save_array(here / RECORDS, self.records)
        wanted = np.flatnonzero(self.contents.samples.split[place.rows] != "")
        todo = wanted[self.records["state"][wanted] == ABSENT]
        if here == place.path:
            if not len(todo):
                log.info("found whole: %s", place.path)
                return
            os.replace(place.path, self.part)
        if len(todo) < len(wanted):
            log.info("going on: %d of %d images are there", len(wanted) - len(todo), len(wanted))
        decoder = Decoder(place, self.contents.resize, self.part)
        self.require_space(decoder, todo)
        try:
            reasons = self.decode(decoder, todo, workers, progress)
        finally:
            self.save()
        if reasons:
            raise self.unreadable(reasons, len(wanted))
        os.replace(self.part, place.path)

    def begin(self) -> None:
        """Make the files, the records last: where they are, the others are."""
        place = self.place
        self.part.mkdir(exist_ok=True)
        for name, dtype in ARRAYS.values():
            with whole_file(self.part / name) as file:
                start_array(file, place.shape, dtype)
        save_array(self.part / "ids.npy", self.contents.samples.ids[place.rows])
        facts = {
            "data": self.contents.name,
            "size": place.size,
            "resize": self.contents.resize,
            "count": len(place.rows),
            "decoder": DECODER_VERSION,
            "transfusion": transfusion_cli.__version__,
        }
        write_text(self.part / "index.json", json.dumps(facts, indent=1))
        none = np.zeros(len(place.rows), RECORD)
        save_array(self.part / RECORDS, np.concatenate([none, place.sources.held_records()]))

    def review(self, here: Path, progress: bool) -> tuple[np.ndarray, bool]:
        """Take images that are damaged, or whose files were replaced since, for absent.

        Returns:
            The records, and whether there are such images.
        """
        from tqdm import tqdm

        place, count = self.place, len(self.place.rows)
        reader = CachedReader(place, here)
        records = np.array(load_array(here / RECORDS, (len(place.sources),), RECORD))
        replaced = place.sources.replaced(records)
        if (replaced >= count).any():  # which of its images are others now, a file of many does not tell
            replaced = np.flatnonzero(records["state"][:count])
            records[count:] = place.sources.held_records()
        records["state"][replaced] = ABSENT
        there = np.flatnonzero(records["state"][:count]).tolist()
        bar = tqdm(there, desc="comparing", unit=" images", disable=not progress, delay=PATIENCE)
        damaged = [position for position in bar if not reader.is_intact(position)]
        records["state"][damaged] = ABSENT
        if is_stale := bool(len(replaced) or damaged):
            what = "decoding anew: %d images whose files were replaced, %d that are damaged in the cache"
            log.info(what, len(replaced), len(damaged))
        return records, is_stale

    def renew(self) -> None:
        """Copy the images that stay to new files: what runs are reading now must not change under them."""
        place, reader = self.place, CachedReader(self.place)
        for state, (name, dtype) in ARRAYS.items():
            with whole_file(place.path / name) as file:
                start = start_array(file, place.shape, dtype)
                for position in np.flatnonzero(self.records["state"] == state).tolist():
                    image = reader.pixels(position)
                    file.seek(start + position * image.nbytes)
                    file.write(image.data)

    def require_space(self, decoder: Decoder, todo: np.ndarray) -> None:
        """Fail before the work if the disk has no room for its result."""
        deep, probed = 0, todo[np.linspace(0, len(todo) - 1, min(PROBES, len(todo))).astype(int)]
        for position in probed.tolist():
            try:
                deep += decoder.read(position).dtype != np.uint8
            except Exception:  # counted when all are read
                continue
        share = deep / max(len(probed), 1)
        needed = int(len(todo) * math.prod(self.place.shape[1:]) * (1 + share))
        free = shutil.disk_usage(self.place.folder).free
        if needed > free:
            raise UserError(
                f"{needed:,} bytes are needed for the decoded images, {free:,} are free in {self.place.folder}\n"
                "Give a folder on another disk with --data.cache, or a smaller --size."
            )

    def decode(self, decoder: Decoder, todo: np.ndarray, workers: int, progress: bool) -> dict[int, str]:
        """Decode images and note which are there; why the others are not."""
        from tqdm import tqdm

        chunks = [todo[start : start + CHUNK].tolist() for start in range(0, len(todo), CHUNK)]
        unreadable: dict[int, str] = {}
        saved = time.monotonic()
        with tqdm(total=len(todo), desc="decoding", unit=" images", disable=not progress) as bar:
            for positions, records, reasons, failure in decoded(decoder, chunks, workers):
                if failure is not None:
                    raise failure
                self.records[positions] = records
                unreadable |= reasons
                bar.update(len(positions))
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
        return unreadable

    def save(self) -> None:
        """Note which images are there, once they are on the disk."""
        for name, _ in ARRAYS.values():
            with open(self.part / name, "r+b", opener=itself) as file:
                os.fsync(file.fileno())
        save_array(self.part / RECORDS, self.records)

    def unreadable(self, reasons: dict[int, str], total: int) -> UserError:
        """Write down which images cannot be read."""
        positions = sorted(reasons)
        names = self.contents.samples.ids[self.place.rows[positions]].tolist()
        path = self.place.beside("unreadable.txt")
        write_text(path, "".join(f"{name}\n" for name in names))
        first = ", ".join(f"{name} ({reasons[position]})" for name, position in zip(names[:3], positions, strict=False))
        return UserError(
            f"{len(reasons):,} of {total:,} images cannot be read, for example {first}\nTheir ids are in {path}\n"
            f"Mend the files, or leave them out with --data.exclude {shlex.quote(str(path))}"
        )


def bytes_of(place: CachePlace) -> int:
    """Bytes of the images in a cache."""
    state, pixels = CachedReader(place).state, math.prod(place.shape[1:])
    return pixels * sum(int((state == kind).sum()) * np.dtype(dtype).itemsize for kind, (_, dtype) in ARRAYS.items())
