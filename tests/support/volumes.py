"""A tiny learnable data set of volumes in memory."""

import numpy as np
from support.tiny import TinyReader

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import SampleTable, as_text


class TinyVolumesDataModule(MedicalDataModule):
    """Grey noise volumes with a bright block that tells the class by its place; two volumes per patient.

    Args:
        train: number of training volumes.
        other: number of validation volumes, and of test volumes.
        shape: of each, (D, H, W).
    """

    dims = 3
    default_augmentation = "upright"
    target = "binary"
    class_names = ["front", "back"]  # noqa: RUF012
    in_chans = 1

    def __init__(self, train: int = 16, other: int = 8, shape: tuple[int, int, int] = (8, 12, 16), **kwargs) -> None:
        kwargs = {"num_workers": 0, "batch_size": 4, "augmentation": None, **kwargs}
        super().__init__(**kwargs)
        n, rng = train + 2 * other, np.random.default_rng(0)
        self.shape, self.train, self.other = shape, train, other
        self.label = np.arange(n) % 2
        self.volumes = rng.integers(0, 120, (n, *shape), dtype=np.uint8)
        for volume, label in zip(self.volumes, self.label, strict=True):
            volume[(slice(0, 4), slice(-4, None))[label]] += 100

    @property
    def own_size(self):
        return self.shape

    def load_samples(self) -> SampleTable:
        n = len(self.label)
        return SampleTable(
            ids=as_text(f"v{i}" for i in range(n)),
            targets=self.label.astype(np.float32)[:, None],
            split=np.repeat(["train", "val", "test"], [self.train, self.other, self.other]),
            patients=as_text(f"p{i // 2}" for i in range(n)),
        )

    def make_reader(self, split, size):
        return TinyReader(self.volumes)
