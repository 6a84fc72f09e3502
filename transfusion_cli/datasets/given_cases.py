"""Images or volumes without masks, from wherever they lie, read as a run read its own."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.masks.whole_cases import CaseDataset
from transfusion_cli.data.sampler import Key
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import MaskTarget


class ReadableCases(CaseDataset):
    """In place of a case that cannot be read, a black one, under a negative index.

    Args:
        reader: reads the cases.
        rows: rows of the sample table that belong here (N,).
        shape: of the black one (C, *S).
    """

    def __init__(self, reader: CaseReader, rows: np.ndarray, shape: tuple[int, ...]) -> None:
        super().__init__(reader, rows)
        self.shape = shape

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """One case, its index ``-1 - row`` where it cannot be read."""
        try:
            return super().__getitem__(key)
        except UserError:
            black = self.item(Case.plain(np.zeros(self.shape, np.uint8), None), int(self.rows[key[0]]))
            return black | {"index": -1 - black["index"]}


class GivenCases(MaskDataModule):
    """A case, or all cases in a folder and its sub-folders: for ``transfusion predict RUN --input FOLDER``.

    Args:
        input: file or folder.
        like: data of the run, which need not be there; says how files are found and read, and masks written.
        target: kind of target of the run.
        class_names: names of its classes.
        kwargs: as for ``MaskDataModule``.
    """

    id_column = "path"

    def __init__(
        self, input: str, like: MaskDataModule, target: MaskTarget, class_names: list[str], **kwargs: Any
    ) -> None:
        self.like, self.in_chans = like, like.in_chans
        super().__init__(augmentation=None, predict_split="predict", **kwargs)
        self.input, self.target, self._class_names = Path(input).expanduser(), target, class_names

    @property
    def dims(self) -> int:  # type: ignore[override]
        """As in the run."""
        return self.like.dims

    @property
    def class_names(self) -> list[str]:
        """As in the run."""
        return self._class_names

    @property
    def regions(self) -> list[list[int]] | None:
        """As in the run."""
        return self.like.regions

    @property
    def preprocessing(self) -> Any:
        """What is made of volumes, as in the run."""
        return self.like.preprocessing

    @preprocessing.setter
    def preprocessing(self, stored: Any) -> None:
        """Take what the run stored."""
        self.like.preprocessing = stored

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of a patch, as in the run."""
        return self.like.size

    @property
    def folder(self) -> Path:
        """Folder that the paths start from."""
        return self.input if self.input.is_dir() else self.input.parent

    @property
    def _run_decides(self) -> bool:
        return False  # a case that is called like one of the run's is another

    def case_reader(self, split: Split) -> CaseReader:
        """Read files as the run's data do."""
        return self.like.reader_in(self.folder, self.samples)

    def fixed_set(self, split: Split) -> ReadableCases:
        """Whole cases."""
        return ReadableCases(self.case_reader(split), self.samples.rows(split), (self.in_chans, *self.size))

    def load_samples(self) -> SampleTable:
        """Every case that there is."""
        paths = self.like.files_in(self.input) if self.input.is_dir() else [self.input.name]
        if not paths:
            raise UserError(f"There are no images in {self.input}.\n--input takes an image or a folder of images.")
        none = np.zeros((len(paths), 0), dtype=np.float32)
        split, names = np.full(len(paths), "predict"), as_text(paths)
        return SampleTable(names, none, split, paths=names, masks=np.full(len(paths), ""))
