"""What all data modules with masks share."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Sized
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.loader import MedicalLoader
from transfusion_cli.data.masks.case import CaseReader
from transfusion_cli.data.masks.patches import Augment, PatchDataset
from transfusion_cli.data.masks.whole_cases import CaseDataset, collate_cases
from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.reading.readers import require_readable
from transfusion_cli.data.sampler import EvaluationSampler, Key, check_world
from transfusion_cli.data.samples import SPLITS, SampleTable, Split
from transfusion_cli.errors import UserError
from transfusion_cli.targets import MaskTarget

log = logging.getLogger(__name__)

PIXELS = 224 * 224
"""Of an image that BatchNorm statistics are estimated on in the usual groups; larger patches go in smaller ones."""


VERIFIED_AT_ONCE = 2
"""Cases that are read together before training."""


class MaskDataModule(MedicalDataModule):
    """Images or volumes with masks: patches of them for training, whole cases for evaluation.

    A subclass says what the data are, as for ``MedicalDataModule``: ``class_names`` (of the K classes, without
    background), ``in_chans``, ``load_samples`` with the column ``masks``, and ``case_reader`` for image and mask.

    Training batches (B patches P, C channels): ``image`` (B, C, *P), ``target`` uint8 (B, *P) with ``IGNORE`` where
    nothing is known, ``index`` int64 (B,). Evaluation batches: ``cases``, a list of what ``CaseDataset`` gives, and
    ``index``.

    Args:
        root: folder of the data.
        batch_size: patches per optimizer step, over all processes together.
        num_workers: processes that load, for each training process; 0 loads in the main one.
        patch_size: sides of a training patch in pixels, of volumes in voxels after resampling (z, y, x), or one number
            for all; null takes what suits the data.
        patches_per_case: patches of each case in an epoch.
        foreground: share of the patches that are centred on a voxel of a class, so that small structures are seen; the
            others lie anywhere.
        augmentation: random changes of training patches: ``default`` for what suits the data, null for none, or a list
            of transforms, of albumentations for images, of MONAI for volumes.
        train_fraction: share of the training patients to use; by the same seed a smaller share lies within a larger.
        train_size: number of training cases to use, in place of ``train_fraction``.
        val_fraction: share of the training patients held out for validation where the data have no such split.
        split_seed: seed of the choice of held-out patients.
        seed: seed of the order, the places of patches, the augmentation and the training subset.
        exclude: text file with the ids of cases to leave out, one per line, as in ``split.csv``.
        verify: read every case before training and report how many cannot be read.
        predict_split: what ``predict`` runs on.
    """

    target: MaskTarget = "mask"  # type: ignore[assignment]
    default_patch: tuple[int, ...] = (256, 256)
    """Sides of a patch where none are asked for."""

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 8,
        num_workers: int = 2,
        patch_size: int | list[int] | None = None,
        patches_per_case: int = 4,
        foreground: float = 1 / 3,
        augmentation: list[str | dict[str, Any]] | str | None = "default",
        train_fraction: float = 1.0,
        train_size: int | None = None,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        seed: int = 42,
        exclude: str | None = None,
        verify: bool = False,
        predict_split: Split = "test",
    ) -> None:
        super().__init__(
            root=root,
            batch_size=batch_size,
            num_workers=num_workers,
            augmentation=None,
            train_fraction=train_fraction,
            train_size=train_size,
            val_fraction=val_fraction,
            split_seed=split_seed,
            seed=seed,
            exclude=exclude,
            verify=verify,
            predict_split=predict_split,
        )
        ranges = Ranges()
        ranges.least("patches_per_case", patches_per_case, 1)
        ranges.share("foreground", foreground, ends=(0, 1))
        for side in [patch_size] if isinstance(patch_size, int) else patch_size or []:
            ranges.least("patch_size", side, 1)
        ranges.settle()
        if isinstance(patch_size, list) and len(patch_size) != self.dims:
            raise UserError(f"patch_size has {len(patch_size)} sides, and these data {self.dims} axes\nTry one number.")
        self.patch_size, self.patches_per_case, self.foreground = patch_size, patches_per_case, foreground
        self.augmentation_spec = augmentation

    # What a subclass says.

    @abstractmethod
    def case_reader(self, split: Split) -> CaseReader:
        """What reads the cases of ``samples``."""

    def stored_reader(self, split: Split) -> CaseReader:
        """What reads the cases of ``samples`` in their own grid, with the values of their files."""
        return self.case_reader(split)

    def file_names(self) -> np.ndarray:
        """Files of each case of ``samples`` below ``folder``, some of them the empty string (N, F); F may be 0."""
        return np.zeros((len(self.samples), 0), np.str_)

    def reader_in(self, folder: Path, samples: SampleTable) -> CaseReader:
        """What reads the cases of a table, wherever they are, as those of this source are read."""
        raise NotImplementedError

    def files_in(self, folder: Path) -> list[str]:
        """Files below a folder that are cases as those of this source, relative to it, sorted."""
        raise NotImplementedError

    def make_augment(self) -> Augment | None:
        """Random changes of training patches."""
        raise NotImplementedError

    # What the others use.

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of a patch."""
        if isinstance(self.patch_size, int):
            return (self.patch_size,) * self.dims
        return tuple(self.patch_size or self.default_patch)

    def training_set(self) -> Sized:
        """Patches, some of them centred on classes, augmented."""
        return self._patches(self.foreground, self.make_augment())

    def statistics_set(self) -> Sized:
        """Patches from anywhere, as sliding windows see them."""
        return self._patches(0.0, None)

    def fixed_set(self, split: Split) -> Sized:
        """Whole cases."""
        return CaseDataset(self.case_reader(split), self.samples.rows(split))

    def _patches(self, foreground: float, augment: Augment | None) -> PatchDataset:
        rows = self.samples.rows("train")
        reader = self.case_reader("train")
        return PatchDataset(reader, rows, self.size, self.patches_per_case, self.seed, foreground, augment)

    def statistics_dataloader(self, group: int) -> MedicalLoader:
        """Every training patch once, as it is, in groups that ``batch_size`` and processes do not change."""
        return super().statistics_dataloader(max(2, group * PIXELS // max(PIXELS, math.prod(self.size))))

    def fixed_dataloader(self, split: Split) -> MedicalLoader:
        """Cases of a split, each exactly once over all processes, in table order, one at a time."""
        rank, world = self._place()
        size = len(self.samples.rows(split))
        check_world(size, self.batch_size, world)
        loader = partial(self._loader, self.fixed_set(split), collate_fn=collate_cases)
        if size % world == 0:
            return loader(sampler=EvaluationSampler(size, rank, world), batch_size=1)
        # All processes have the same number of batches, so that none waits for another: those with a case more than
        # others take the last two together.
        places = [(place, 0) for place, _ in EvaluationSampler(size, rank, world)]
        batches = _Batches([place] for place in places[: size // world])
        batches[-1].extend(places[size // world :])
        return loader(batch_sampler=batches)

    def check_samples(self, table: SampleTable) -> None:
        """See that every case of a split with masks has one.

        Raises:
            UserError: one has none.
        """
        assert table.masks is not None
        bare = np.flatnonzero((table.masks == "") & np.isin(table.split, SPLITS))
        if len(bare):
            split = str(table.split[bare[0]])
            raise UserError(
                f"{len(bare)} case(s) have no mask, for example {str(table.ids[bare[0]])!r} in the {split} split\n"
                f"of {self.root}\nLeave them out by --data.exclude FILE, or put them into the split predict."
            )

    def fill_cache(self, size: tuple[int, ...] | None, workers: int) -> tuple[list[str], list[str]]:
        """Not offered, but for volumes."""
        raise UserError(f"{type(self).__name__} reads its files as they are: there is nothing to prepare.\nType fit.")

    def prepare_data(self) -> None:
        """Read every case, mask and all, in one process per machine and a few at a time: volumes are large."""
        for split in SPLITS if self.verify else ():
            require_readable(self.case_reader(split).read, self.samples.rows(split), VERIFIED_AT_ONCE)

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """Images alone, channels last where there are three, for people to look at; of a volume its middle slice."""
        return _Picture(self.stored_reader(split))

    def reader_of(self, split: Split) -> NoReturn:
        """Not offered: cases are read by ``case_reader``."""
        raise NotImplementedError


class _Batches(list[list[Key]]):
    """Batches of keys, with the ``__dict__`` that Lightning looks for in predicting."""


class _Picture:
    """Reads what can be shown of a case."""

    def __init__(self, reader: CaseReader) -> None:
        self.reader = reader

    def __call__(self, row: int) -> np.ndarray:
        image = self.reader.whole(row).image
        if image.ndim == 4:
            image = image[:, image.shape[1] // 2]
        if image.dtype != np.uint8:
            low, high = np.percentile(image, (0.5, 99.5))
            image = np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
        return image.transpose(1, 2, 0) if len(image) == 3 else image[0]
