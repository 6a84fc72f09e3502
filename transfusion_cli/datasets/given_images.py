"""Images without labels, from wherever they lie, read as a run read its own."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.dataset import ImageDataset
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target, num_logits

log = logging.getLogger(__name__)


class ReadableImages(ImageDataset):
    """In place of an image that cannot be read, a black one, under a negative index."""

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, torch.Tensor]:
        """One image and its index, ``-1 - row`` where it cannot be read."""
        try:
            return super().__getitem__(key)
        except UserError:
            row = int(self.rows[key[0] if isinstance(key, tuple) else key])
            shape = (3 if self.read.channels == 3 else 1, *self.resize.size)  # type: ignore[attr-defined]
            target = torch.as_tensor(self.targets[row])
            return {"image": torch.zeros(shape, dtype=torch.uint8), "target": target, "index": torch.tensor(-1 - row)}


class GivenImages(MedicalDataModule):
    """An image, or all images in a folder and its sub-folders: for ``transfusion predict RUN --input FOLDER``.

    Args:
        input: file or folder.
        like: data of the run, which need not be there; says how files are read.
        target: kind of target of the run.
        class_names: names of its classes or labels.
        kwargs: as for ``MedicalDataModule``.
    """

    dataset_class = ReadableImages
    id_column = "path"

    def __init__(
        self, input: str, like: MedicalDataModule, target: Target, class_names: list[str], **kwargs: Any
    ) -> None:
        if like.dims == 3:
            raise UserError(
                "--input reads images, and this run was trained on volumes.\n"
                "Predict a split of its data: transfusion predict RUN --data.predict_split test"
            )
        super().__init__(augmentation=None, predict_split="predict", **kwargs)
        self.input, self.like = Path(input).expanduser(), like
        self._target, self._class_names, self.in_chans = target, class_names, like.in_chans
        kind = type(like)
        if kind.file_reader is MedicalDataModule.file_reader and not kind.__module__.startswith("transfusion_cli."):
            log.warning("%s may read its images in another way: it has no `file_reader` for others.", kind.__name__)

    @property
    def target(self) -> Target:
        """As in the run."""
        return self._target

    @property
    def class_names(self) -> list[str]:
        """As in the run."""
        return self._class_names

    @property
    def folder(self) -> Path:
        """Folder that the paths start from."""
        return self.input if self.input.is_dir() else self.input.parent

    @property
    def _run_decides(self) -> bool:
        return False  # an image that is called like one of the run's is another

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> FileReader:
        """Read files as the run's data do."""
        assert self.samples.paths is not None
        return self.like.file_reader(self.folder, self.samples.paths, size)

    def load_samples(self) -> SampleTable:
        """Every image that there is."""
        paths = image_files(self.input) if self.input.is_dir() else [self.input.name]
        if not paths:
            raise UserError(f"There are no images in {self.input}.\n--input takes an image or a folder of images.")
        if self.target in ("multiclass", "ordinal"):
            targets = np.full(len(paths), -1)
        else:
            targets = np.full((len(paths), num_logits(self.target, len(self.class_names))), np.nan, dtype=np.float32)
        return SampleTable(as_text(paths), targets, np.full(len(paths), "predict"), paths=as_text(paths))
