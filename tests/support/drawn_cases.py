"""Cases that are drawn from their row: no files, any number of axes."""

import numpy as np

from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.samples import SampleTable, as_text


class DrawnReader(CaseReader):
    """A bright box in noise, marked 1, with a brighter core, marked 2; every size a little different."""

    def __init__(self, dims, classes=2, side=24):
        super().__init__()
        self.dims, self.classes, self.side = dims, classes, side

    def read(self, row):
        rng = np.random.default_rng(row)
        shape = tuple(self.side + (row + axis) % 3 for axis in range(self.dims))
        image, mask = rng.integers(0, 90, (1, *shape), dtype=np.uint8), np.zeros(shape, np.uint8)
        at = rng.integers(2, self.side // 2, self.dims)
        mask[tuple(slice(first, first + self.side // 2) for first in at)] = 1
        if self.classes > 1:
            mask[tuple(slice(first + 2, first + self.side // 4) for first in at)] = 2
        image[0] += 70 * mask
        return Case.plain(image, mask)

    def write(self, row, labels, folder):
        path = folder / f"case{row}.npy"
        np.save(path, labels)
        return path


class DrawnCases(MaskDataModule):
    """Some of them for each split; patients of two cases."""

    in_chans = 1

    def __init__(
        self,
        dims: int = 2,
        cases: int = 12,
        classes: int = 2,
        side: int = 24,
        patch_size: int | list[int] | None = 16,
        batch_size: int = 4,
        num_workers: int = 0,
        augmentation: str | None = None,
        **kwargs,
    ):
        self.dims, self.cases, self.classes, self.side = dims, cases, classes, side
        given = {"num_workers": num_workers, "batch_size": batch_size, "augmentation": augmentation}
        super().__init__(patch_size=patch_size, **given, **kwargs)

    @property
    def class_names(self):
        return ["box", "core"][: self.classes]

    def load_samples(self):
        names = as_text(f"case{row}" for row in range(self.cases))
        third = self.cases // 3
        split = np.repeat(["train", "val", "test"], [self.cases - 2 * third, third, third])
        patients = as_text(f"{part}{row // 2}" for row, part in enumerate(split))
        return SampleTable(
            names, np.zeros((self.cases, 0), np.float32), split, patients, paths=names, masks=names.copy()
        )

    def case_reader(self, split):
        return DrawnReader(self.dims, self.classes, self.side)

    def make_augment(self):
        return None
