"""What data sets of image files share: finding their folder, saying what is missing."""

import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.layout.about import about
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SPLITS, Split
from transfusion_cli.errors import UserError


class ImageFilesDataModule(MedicalDataModule):
    """A public data set of image files, in the layout in which it is published.

    A subclass names its ``landmarks`` and says in its docstring, in the lines of ``about.FIELDS``, where the data come
    from, under which licence, how they lie on disk, what its groups are, and whom to cite.

    Args:
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks: ClassVar[tuple[str, ...]] = ()
    """Glob patterns; the folder of the data set is the one in which any of them is found."""

    @property
    def published(self) -> dict[str, int]:
        """Published counts that these options should give, for ``transfusion data check``.

        Keys: ``images``, ``patients``, a split or several (``train+val``), or ``class:NAME``; all optional.
        """
        return {}

    @cached_property
    def folder(self) -> Path:
        """``root``, or the folder below it, at most two deep, in which a landmark is found.

        Raises:
            UserError: no root, no such folder, or nothing of this data set in it.
        """
        if self.root is None:
            raise self.absent("data.root is not set")
        if not self.root.is_dir():
            raise self.absent(f"no folder {self.root}")
        for depth in ("", "*/", "*/*/"):
            for landmark in self.landmarks:
                for found in sorted(self.root.glob(depth + landmark)):
                    return found.parents[len(Path(landmark).parts) - 1]
        raise self.absent(f"no {' and no '.join(self.landmarks)} in {self.root}")

    def absent(self, what: str) -> UserError:
        """The error for something missing, which says where to get the data and how they should lie."""
        facts = about(inspect.getdoc(type(self)))
        name = type(self).__name__.removesuffix("DataModule")
        return UserError(
            f"{name}: {what}\nGet it from {facts['Source']}\nThen --data.root DIR, where DIR holds {facts['Layout']}"
        )

    def class_files(self, classes: Sequence[str]) -> list[str]:
        """Images in ``train/CLASS``, ``val/CLASS`` and ``test/CLASS`` in the folder, the split first in their paths.

        Raises:
            UserError: ``train`` or ``test`` has none; ``val`` may be absent.
        """
        found = []
        for part in SPLITS:
            files = [f"{part}/{name}/{file}" for name in classes for file in image_files(self.folder / part / name)]
            if not files and part != "val":
                raise self.absent(f"no images in {self.folder / part}/{{{','.join(classes)}}}")
            found += files
        return found

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """Read files below the folder."""
        assert self.samples.paths is not None
        return self.file_reader(self.folder, self.samples.paths, size)
