"""From options and training cases to how volumes are prepared."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.fingerprint import Fingerprint
from transfusion_cli.data.volumes.geometry import Crop
from transfusion_cli.data.volumes.intensity import Intensity
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.sources import facts_of, replaced
from transfusion_cli.errors import UserError
from transfusion_cli.files import write_json

log = logging.getLogger(__name__)

BUDGETS = CPU_VOXELS, GPU_VOXELS = 64**3, 128**3
"""Voxels of the patch that is taken where none is asked for."""

MOVED = "%d masks lie elsewhere than their images by their headers, and were taken to lie where the images do"


@dataclass(frozen=True)
class Choice:
    """What options say of the preprocessing, and what they leave to the training cases.

    Args:
        spacing: in mm, ``own`` for each case's own, None for what suits the cases.
        window: values that become 0 and 1, or None for what suits the cases.
        crop: what is kept of an image.
        patch: whether a patch is to be found that suits the cases.
        voxels: that it may have.
        absolute: of each channel, whether its numbers mean the same in every image.
    """

    spacing: tuple[float, ...] | str | None
    window: tuple[float, float] | None
    crop: Crop | None
    patch: bool
    voxels: int
    absolute: tuple[bool, ...]

    def settled(self) -> Preprocessing | None:
        """What follows from the options alone; None if cases are to be looked at."""
        if self.spacing is None or self.patch or (self.window is None and any(self.absolute)):
            return None
        return Preprocessing(self._spacing, self.crop, (self._window,) * len(self.absolute))

    def by(self, found: Fingerprint) -> Preprocessing:
        """What follows from the options and some cases."""
        spacing = found.spacing if self.spacing is None else self._spacing
        rules = (
            self._window or (found.intensity(channel) if absolute else None)
            for channel, absolute in enumerate(self.absolute)
        )
        return Preprocessing(
            spacing, self.crop, tuple(rules), found.patch_size(spacing, self.voxels) if self.patch else None
        )

    def look(self, files: CaseFiles, rows: np.ndarray) -> Preprocessing:
        """Read the training cases, if need be, and choose by them."""
        return self.settled() or self.by(self._fingerprint(files, rows))

    def _fingerprint(self, files: CaseFiles, rows: np.ndarray) -> Fingerprint:
        found = Fingerprint.of(files, rows, self.crop)
        if found.moved:
            log.warning(MOVED, found.moved)
        return found

    def keep(self, cache: Path, files: CaseFiles, rows: np.ndarray) -> Preprocessing:
        """Choose, and note in a cache what was chosen for these training cases.

        Raises:
            Fault: it cannot be written.
        """
        if (kept := self._read(cache, files, rows)) is not None:
            return kept
        found = self._fingerprint(files, rows)
        chosen = replace(self, patch=False).by(found)
        sources = {str(files.ids[row]): facts_of(files.paths(row)) for row in rows}
        # Patches of any size are read from what is prepared, on whichever machine: all that might be asked for.
        patches = {str(voxels): list(found.patch_size(chosen.spacing, voxels)) for voxels in BUDGETS}
        content = {"preprocessing": chosen.to_dict(), "patches": patches, "sources": sources}
        write_json(self._path(cache, files, rows), content)
        return self.by(found)

    def kept(self, cache: Path, files: CaseFiles, rows: np.ndarray) -> Preprocessing:
        """What was chosen for these training cases when they were prepared.

        Raises:
            UserError: they were not, or files were replaced since.
        """
        chosen = self.settled() or self._read(cache, files, rows)
        if chosen is None:
            raise UserError(
                f"These training cases were not prepared with these options in {cache}, or not as they are now\n"
                f"With the --config and the --data flags of this run: transfusion data prepare --data.cache {cache}"
            )
        return chosen

    def _read(self, cache: Path, files: CaseFiles, rows: np.ndarray) -> Preprocessing | None:
        path = self._path(cache, files, rows)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            sources = content["sources"]
            if any(replaced(files.paths(row), sources[str(files.ids[row])]) for row in rows):
                return None
            patch = tuple(content["patches"][str(self.voxels)]) if self.patch else None
            return replace(Preprocessing.from_dict(content["preprocessing"]), patch_size=patch)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path} is damaged\n{error}\nDelete it and run transfusion data prepare again.") from error

    def _path(self, cache: Path, files: CaseFiles, rows: np.ndarray) -> Path:
        told = replace(self, patch=False, voxels=0)
        facts = repr((told, files.ids[rows].tolist(), sorted(files.labels.items()), files.geometry))
        return cache / f"preprocessing-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.json"

    @property
    def _spacing(self) -> tuple[float, ...] | None:
        return self.spacing if isinstance(self.spacing, tuple) else None

    @property
    def _window(self) -> Intensity | None:
        return None if self.window is None else Intensity.window(*self.window)
