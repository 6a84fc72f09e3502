"""What all data modules of volumes with masks share."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from transfusion_cli.data.layout.volume_files import volumes_below
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import CaseReader
from transfusion_cli.data.masks.patches import Augment
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.volumes.augmentation import VolumeAugmentation, build_transforms, default
from transfusion_cli.data.volumes.case_files import CaseFiles, Geometry
from transfusion_cli.data.volumes.choice import CPU_VOXELS, GPU_VOXELS, MOVED, Choice
from transfusion_cli.data.volumes.geometry import Crop
from transfusion_cli.data.volumes.prepared_reader import PreparedReader
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.reader import VolumeReader
from transfusion_cli.data.volumes.store import VolumeStore
from transfusion_cli.data.volumes.unprepared_reader import UnpreparedReader
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)


class VolumeDataModule(MaskDataModule):
    """Volumes with masks: patches of them for training, whole cases for evaluation.

    A subclass says what the data are: ``class_names``, ``in_chans``, ``modality``, and ``load_samples`` with the
    columns ``paths`` (files, or folders of DICOM slices) and ``masks``; where these differ from the defaults, also
    ``channel_files`` and ``labels``.

    Images are float32 (C, D, H, W), cropped, standardised and resampled by ``preprocessing``. That follows from the
    training cases, as nnU-Net's does, where options do not tell it.

    Args:
        spacing: millimetres from voxel to voxel along z, y and x that all cases are resampled to, or ``own`` to leave
            each as it is; null takes the median of the training cases.
        window: low and high value, which become 0 and 1, such as ``[-1000, 1000]``; null takes for CT the percentiles
            0.5 and 99.5 of the classes in the training cases, and else the z-score of each image.
        crop: ``nonzero`` keeps of an image the box around all that is not zero; null keeps the whole.
        geometry: where a mask has as many voxels as its image but lies elsewhere by its header: ``agree`` for an
            error, ``image`` if the image's header holds for both.
        cache: folder of volumes made by ``transfusion data prepare``, of which patches are read without the rest; null
            reads the files, each as a whole.
        kwargs: as for ``MaskDataModule``.
    """

    dims = 3

    def __init__(
        self,
        spacing: list[float] | Literal["own"] | None = None,
        window: list[float] | None = None,
        crop: Crop | None = "nonzero",
        geometry: Geometry = "agree",
        cache: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(spacing, list) and (len(spacing) != 3 or min(spacing) <= 0):
            raise UserError(f"spacing must be three lengths in mm, got {spacing}\nTry --data.spacing '[1, 1, 1]'.")
        if window is not None and (len(window) != 2 or window[0] >= window[1]):
            raise UserError(f"window must be a low and a high value, got {window}\nTry --data.window '[-1000, 1000]'.")
        if self.augmentation_spec not in (None, "default"):
            build_transforms(self.augmentation_spec)  # type: ignore[arg-type]  # Mistakes come to light at once.
        self.spacing, self.window, self.crop, self.geometry = spacing, window, crop, geometry
        self.cache = None if cache is None else Path(cache).expanduser()
        self._preprocessing: Preprocessing | None = None

    # What a subclass says.

    @property
    def modality(self) -> str | list[str]:
        """``CT``, whose values are the same everywhere, or anything else; of all channels, or of each."""
        raise NotImplementedError

    @property
    def labels(self) -> dict[int, int]:
        """The class, 0 for background, or ``IGNORE``, that each number in a mask file stands for."""
        return {number: number for number in range(len(self.class_names) + 1)}

    def channel_files(self, path: str) -> list[str]:
        """Files that hold the channels of an image, by its path in the table."""
        return [path]

    # What the others use.

    @property
    def preprocessing(self) -> Preprocessing:
        """What is made of the volumes: what a run stored, if it was set, or else by options and training cases."""
        if self._preprocessing is None:
            files, rows = self.case_files(self.samples), self.samples.rows("train")
            choose = self._choice.look if self.cache is None else partial(self._choice.kept, self.cache)
            self._preprocessing = choose(files, rows)
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, stored: dict[str, Any] | Preprocessing) -> None:
        """Take what a run stored, as a value or as plain data."""
        self._preprocessing = stored if isinstance(stored, Preprocessing) else Preprocessing.from_dict(stored)

    @property
    def default_patch(self) -> tuple[int, ...]:  # type: ignore[override]
        """Sides of a patch where none are asked for."""
        return self.preprocessing.patch_size or ()

    def case_reader(self, split: Split) -> CaseReader:
        """What reads the cases of ``samples``: from the cache if there is one."""
        files = self.case_files(self.samples)
        if self.cache is None:
            return VolumeReader(files, self.preprocessing)
        return PreparedReader(VolumeStore(self.cache, files, self.preprocessing), self.samples.rows(split))

    def stored_reader(self, split: Split) -> CaseReader:
        """What reads the files as they are."""
        return UnpreparedReader(self.case_files(self.samples))

    def file_names(self) -> np.ndarray:
        """Channels and mask of each case."""
        if self.samples.paths is None:
            return super().file_names()
        files = self.case_files(self.samples)
        return files.images if files.masks is None else np.column_stack([files.images, files.masks])

    def fill_cache(self, size: tuple[int, ...] | None, workers: int) -> tuple[list[str], list[str]]:
        """Prepare every case once."""
        assert self.cache is not None
        if size is not None:
            raise UserError("Volumes are resampled to a spacing, not to a --size.\nTry --data.spacing '[2, 1, 1]'.")
        self.prepare_data()
        files = self.case_files(self.samples)
        if self._preprocessing is None:
            self._preprocessing = self._choice.keep(self.cache, files, self.samples.rows("train"))
        store = VolumeStore(self.cache, files, self._preprocessing)
        cases = store.prepare(self.all_rows[self.samples.split[self.all_rows] != ""], workers)
        if moved := sum(case.moved for case in cases):
            log.warning(MOVED, moved)
        count = f"{len(cases):,} cases, {sum(case.nbytes for case in cases) / 1e6:,.1f} MB"
        return [count, f"They are in {store.path}"], []

    def make_augment(self) -> Augment | None:
        """Random changes of training patches, by MONAI."""
        spec = default(self.size) if self.augmentation_spec == "default" else self.augmentation_spec
        return VolumeAugmentation(spec, self.in_chans, self.size) if spec else None  # type: ignore[arg-type]

    def reader_in(self, folder: Path, samples: SampleTable) -> CaseReader:
        """What reads the cases of a table, wherever they are, as those of this source are read."""
        return VolumeReader(self.case_files(samples, folder), self.preprocessing)

    def files_in(self, folder: Path) -> list[str]:
        """Every volume below the folder."""
        return volumes_below(folder)

    def case_files(self, table: SampleTable, folder: Path | None = None) -> CaseFiles:
        """The files of the cases of a table, whose paths start in a folder; None for that of the data."""
        folder = folder or self.folder
        assert folder is not None and table.paths is not None
        images = [self.channel_files(str(path)) for path in table.paths]
        most = max(map(len, images), default=1)
        names = np.array([[*files, *[""] * (most - len(files))] for files in images], dtype=np.str_)
        return CaseFiles(folder, table.ids, names, table.masks, self.in_chans, self.labels, self.geometry)

    @property
    def _choice(self) -> Choice:
        channels = [self.modality] * self.in_chans if isinstance(self.modality, str) else self.modality
        return Choice(
            spacing=tuple(self.spacing) if isinstance(self.spacing, list) else self.spacing,
            window=None if self.window is None else (self.window[0], self.window[1]),
            crop=self.crop,
            patch=self.patch_size is None,
            voxels=GPU_VOXELS if torch.cuda.is_available() else CPU_VOXELS,
            absolute=tuple(modality.upper() == "CT" for modality in channels),
        )
