"""A case as it was prepared, in files that are mapped into memory."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from transfusion_cli.data.cache.files import damaged, load_array, save_array
from transfusion_cli.data.masks.case import Case, cut, voxels_of
from transfusion_cli.data.volumes.sources import Facts
from transfusion_cli.files import whole_file, write_json
from transfusion_cli.targets import IGNORE

RECORD, IMAGE, MASK, TRUTH, VOXELS = "case.json", "image.npy", "mask.npy", "truth.npz", "voxels.npy"


@dataclass(frozen=True)
class StoredCase:
    """What is known of a case in a folder; its voxels are read when they are asked for.

    Args:
        folder: where it is.
        name: id of the case.
        shape: of the image (C, D, H, W).
        own_shape: (D, H, W) of its own grid.
        box: as in ``Case``.
        spacing: as in ``Case``.
        has_mask: whether it has one.
        voxels: how many of each class are kept to draw from.
        moved: whether the mask lay elsewhere than the image.
        sources: what it was made from.
    """

    folder: Path
    name: str
    shape: list[int]
    own_shape: list[int]
    box: list[list[int]]
    spacing: list[float]
    has_mask: bool
    voxels: dict[str, int]
    moved: bool
    sources: Facts

    @classmethod
    def save(cls, folder: Path, name: str, case: Case, moved: bool, sources: Facts) -> None:
        """Write a case, its image as float16, to a folder that appears whole or not at all.

        Raises:
            Fault: it cannot be written.
        """
        part = folder.with_name(f"{folder.name}.part")
        for there in (part, folder):
            if there.exists():
                shutil.rmtree(there)
        part.mkdir(parents=True)
        voxels = {} if case.mask is None else voxels_of(case.mask)
        save_array(part / IMAGE, case.image.astype(np.float16, copy=False))
        if case.mask is not None:
            save_array(part / MASK, case.mask)
            save_array(part / VOXELS, np.concatenate([np.zeros((0, 3)), *voxels.values()]).astype(np.int32))
            with whole_file(part / TRUTH) as file:
                np.savez_compressed(file, truth=case.truth)
        stored = cls(
            folder=folder,
            name=name,
            shape=list(case.image.shape),
            own_shape=list(case.truth.shape),
            box=case.box.tolist(),
            spacing=case.spacing.tolist(),
            has_mask=case.mask is not None,
            voxels={str(label): len(places) for label, places in voxels.items()},
            moved=moved,
            sources=sources,
        )
        write_json(part / RECORD, {key: value for key, value in asdict(stored).items() if key != "folder"})
        os.replace(part, folder)

    @classmethod
    def open(cls, folder: Path) -> StoredCase | None:
        """Read what is known of a case; None where there is none.

        Raises:
            UserError: the folder holds something else.
        """
        try:
            return cls(folder, **json.loads((folder / RECORD).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise damaged(folder, f"{RECORD}: {error}") from error

    def whole(self) -> Case:
        """The whole case, its image float32."""
        image = np.asarray(self._image(), dtype=np.float32)
        mask = np.array(self._mask()) if self.has_mask else None
        truth = self._truth() if self.has_mask else np.full(self.own_shape, IGNORE, np.uint8)
        return Case(image, mask, truth, np.array(self.box), np.array(self.spacing))

    def patch(self, start: tuple[int, ...], size: tuple[int, ...], background: float) -> tuple[np.ndarray, np.ndarray]:
        """A part, as ``CaseReader.patch`` gives it; no more is read from the disk."""
        image = cut(self._image(), start, size, background).astype(np.float32)
        return image, np.array(cut(self._mask()[None], start, size, IGNORE)[0])

    def foreground(self) -> dict[int, np.ndarray]:
        """Voxels of each class, mapped."""
        ends = np.cumsum(list(self.voxels.values()))
        parts = np.split(self._voxels(), ends[:-1]) if self.voxels else []
        return {int(label): part for label, part in zip(self.voxels, parts, strict=True)}

    def check(self) -> None:
        """See that the files are those of the record.

        Raises:
            UserError: one is missing, truncated, or of another shape.
        """
        self._image()
        if self.has_mask:
            self._mask()
            self._voxels()

    @property
    def nbytes(self) -> int:
        """Bytes on the disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir())

    # Mapped anew each time, which takes a fraction of a millisecond: a process that keeps maps seems to need the memory
    # of all that it ever read.

    def _image(self) -> np.ndarray:
        return load_array(self.folder / IMAGE, tuple(self.shape), np.float16)

    def _mask(self) -> np.ndarray:
        return load_array(self.folder / MASK, tuple(self.shape[1:]), np.uint8)

    def _voxels(self) -> np.ndarray:
        return load_array(self.folder / VOXELS, (sum(self.voxels.values()), 3), np.int32)

    def _truth(self) -> np.ndarray:
        try:
            with np.load(self.folder / TRUTH, allow_pickle=False) as arrays:
                return np.asarray(arrays["truth"])
        except Exception as error:  # a damaged archive can break its reader anywhere
            raise damaged(self.folder, f"{TRUTH}: {error}") from error
