"""Filling a cache of decoded images: over all cores, in as many attempts as it takes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np

import transfusion_cli
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.cache_decoder import Decoder, decoded
from transfusion_cli.data.cache_place import ABSENT, ARRAYS, SHALLOW, CachePlace, at_size, witnesses
from transfusion_cli.data.images import DECODER_VERSION
from transfusion_cli.errors import UserError
from transfusion_cli.lock import FileLock

log = logging.getLogger(__name__)

CHUNK = 16
"""Images that a process decodes at a time."""

SAVE_EVERY = 10.0
"""Seconds after which what was decoded is safe from a crash."""

PROBES = 8
"""Images read beforehand, to know how many bytes one takes."""


def build_cache(
    data: MedicalDataModule, folder: Path, size: tuple[int, int], workers: int = 0, progress: bool = True
) -> CachePlace:
    """Decode every image of the splits once, and resize it.

    Large JPEG files are decoded at a reduced scale that is enough for this size, as when training reads the files
    at this size; how that differs from decoding them whole, ``read_image`` tells. An attempt that was interrupted
    goes on where it stopped; one that runs at the same time elsewhere is waited for.

    Args:
        data: The data module.
        folder: The folder of caches; made if absent.
        size: Height and width of the images to keep.
        workers: Processes; 0 and 1 decode in this one.
        progress: Show a bar.

    Returns:
        Where the images are.

    Raises:
        UserError: Images that cannot be read (their ids are in ``<key>.unreadable.txt``), no space, files that were
            replaced since a former attempt.
    """
    data = at_size(data, size)
    place = CachePlace.of(data, folder, size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.beside("lock"))
        if not lock.acquire(timeout=0):
            log.info("another process is preparing these images; waiting for it")
        with lock:
            _Building(place, data).run(workers, progress)
    except OSError as error:
        raise UserError(
            f"cannot write the cache {place.path}\n{error}\nGive another folder with --data.cache."
        ) from error
    return place


class _Building:
    """One attempt at a cache, by the one process that holds its lock."""

    def __init__(self, place: CachePlace, data: MedicalDataModule) -> None:
        self.place, self.data = place, data
        self.part = place.beside("part")
        self.shape = (len(place.rows), *place.size, *((3,) if data.in_chans == 3 else ()))

    def run(self, workers: int, progress: bool) -> None:
        """Decode what is not there yet, and give the folder its name."""
        place = self.place
        wanted = np.flatnonzero(self.data.samples.split[place.rows] != "")
        if place.path.is_dir():
            place.check_sources(self.data, place.path)
            if (np.load(place.path / "state.npy")[wanted] != ABSENT).all():
                log.info("found whole: %s", place.path)
                return
            os.replace(place.path, self.part)  # images that were left out then are wanted now
        self.begin()
        self.state = np.load(self.part / "state.npy")
        todo = wanted[self.state[wanted] == ABSENT]
        if len(todo) < len(wanted):
            log.info("going on: %d of %d images are there", len(wanted) - len(todo), len(wanted))
        decoder = Decoder(place, self.data, self.part)
        self.require_space(decoder, todo)
        try:
            reasons = self.decode(decoder, todo, workers, progress)
        finally:
            self.save()
        if reasons:
            raise self.unreadable(reasons, len(wanted))
        os.replace(self.part, place.path)

    def begin(self) -> None:
        """Make the files, or see that those of a former attempt fit."""
        if (self.part / "index.json").is_file():
            self.place.check_sources(self.data, self.part)
            return
        self.part.mkdir(exist_ok=True)
        for name, dtype in ARRAYS.values():  # of no size on the disk until they are written to
            np.lib.format.open_memmap(self.part / name, "w+", dtype, self.shape).flush()
        np.save(self.part / "state.npy", np.full(len(self.place.rows), ABSENT, dtype=np.uint8))
        np.save(self.part / "ids.npy", self.data.samples.ids[self.place.rows])
        facts = {
            "data": type(self.data).__name__,
            "size": self.place.size,
            "resize": self.data.resize,
            "count": len(self.place.rows),
            "decoder": DECODER_VERSION,
            "transfusion": transfusion_cli.__version__,
            "witnesses": witnesses(self.data, self.place.rows),
        }
        index = self.part / "index.json"
        index.with_suffix(".tmp").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        os.replace(index.with_suffix(".tmp"), index)

    def require_space(self, decoder: Decoder, todo: np.ndarray) -> None:
        """Fail before the work if the disk has no room for its result."""
        deep, probed = 0, todo[np.linspace(0, len(todo) - 1, min(PROBES, len(todo))).astype(int)]
        for position in probed.tolist():
            try:
                deep += decoder.read(position).dtype != np.uint8
            except Exception:  # counted when all are read
                continue
        share = deep / max(len(probed), 1)
        needed = int(len(todo) * np.prod(self.shape[1:]) * (1 + share))
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
            for positions, states, reasons, failure in decoded(decoder, chunks, workers):
                if failure:
                    raise OSError(failure)
                self.state[positions] = states
                unreadable |= reasons
                bar.update(len(positions))
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
        return unreadable

    def save(self) -> None:
        """Note which images are there, once they are on the disk."""
        for name, _ in ARRAYS.values():
            with (self.part / name).open("r+b") as file:
                os.fsync(file.fileno())
        state = self.part / "state.npy"
        with state.with_suffix(".tmp").open("wb") as file:
            np.save(file, self.state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(state.with_suffix(".tmp"), state)

    def unreadable(self, reasons: dict[int, str], total: int) -> UserError:
        """Write down which images cannot be read."""
        positions = sorted(reasons)
        names = self.data.samples.ids[self.place.rows[positions]].tolist()
        path = self.place.beside("unreadable.txt")
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        first = ", ".join(f"{name} ({reasons[position]})" for name, position in zip(names[:3], positions, strict=False))
        return UserError(
            f"{len(reasons):,} of {total:,} images cannot be read, for example {first}\nTheir ids are in {path}\n"
            f"Mend the files, or leave them out with --data.exclude {path}"
        )


def bytes_of(place: CachePlace) -> int:
    """Bytes of the images in a cache."""
    state, one = np.load(place.path / "state.npy"), np.load(place.path / ARRAYS[SHALLOW][0], mmap_mode="r")
    pixels = int(np.prod(one.shape[1:]))
    return pixels * sum(int((state == kind).sum()) * np.dtype(dtype).itemsize for kind, (_, dtype) in ARRAYS.items())
