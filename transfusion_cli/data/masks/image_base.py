"""What data modules of images with masks share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import CaseReader
from transfusion_cli.data.masks.images import FieldFinder, ImageCaseReader
from transfusion_cli.data.masks.patches import Augment
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.reading.intensity import Window
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.transform import augmentation as augmentations
from transfusion_cli.data.transform.mask_augmentation import MaskAugmentation
from transfusion_cli.errors import UserError


class ImageMaskDataModule(MaskDataModule):
    """Images with masks in files.

    A subclass says what the values of masks stand for (``values``), and fills the columns ``paths``, ``masks`` and,
    where there are such files, ``fields`` of the table; what lies outside the field of view is not measured.

    Args:
        channels: 1 reads images as grey, 3 as colour.
        kwargs: as for ``MaskDataModule``.
    """

    values = MaskValues()
    window: Window | None = None
    find_field: FieldFinder | None = None
    """Finds the field of view of an image that has no file of it; null where all can be seen."""

    default_augmentation = "upright"

    def __init__(self, channels: Literal[1, 3] = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.in_chans = channels
        match self.augmentation_spec:
            case "default":
                self.transforms = augmentations.DEFAULTS[self.default_augmentation]
            case list() | None:
                self.transforms = self.augmentation_spec or []
                augmentations.build_transforms(self.transforms)  # Mistakes come to light before any data are read.
            case other:
                raise UserError(f"augmentation: {other!r} is neither default nor null nor a list of transforms")

    def make_augment(self) -> Augment | None:
        """Transforms of albumentations, image and mask together."""
        return MaskAugmentation(self.transforms, self.in_chans) if self.transforms else None

    def case_reader(self, split: Split) -> CaseReader:
        """Read files below ``folder``."""
        assert self.folder is not None
        return self.reader_in(self.folder, self.samples)

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """Images alone."""
        if self.samples.paths is None:
            return super().make_reader(split, size)
        assert self.folder is not None
        return FileReader(self.folder, self.samples.paths, self.in_chans, self.window)

    def file_names(self) -> np.ndarray:
        """Image, mask and field of view of each case."""
        table = self.samples
        if table.paths is None:
            return super().file_names()
        return np.column_stack([names for names in (table.paths, table.masks, table.fields) if names is not None])

    def reader_in(self, folder: Path, samples: SampleTable) -> CaseReader:
        """What reads the cases of a table, wherever they are, as those of this source are read."""
        return ImageCaseReader(folder, samples, self.values, self.in_chans, self.window, type(self).find_field)

    def files_in(self, folder: Path) -> list[str]:
        """Every image below the folder."""
        return image_files(folder)
