"""A tiny learnable data set in memory, for tests that need training but no files."""

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import SampleTable, as_text


class TinyReader:
    """Images from an array."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __call__(self, row: int) -> np.ndarray:
        return self.images[row]


class TinyDataModule(MedicalDataModule):
    """Grey noise images whose brightness in one corner tells the class; two images per patient.

    Args:
        kind: target kind.
        train: number of training images.
        other: number of validation images, and of test images.
        side: side in pixels.
    """

    def __init__(self, kind: str = "binary", train: int = 48, other: int = 24, side: int = 16, **kwargs) -> None:
        kwargs.setdefault("num_workers", 0)
        kwargs.setdefault("batch_size", 8)
        kwargs.setdefault("image_size", side)
        super().__init__(**kwargs)
        self.kind, self.train, self.other, self.side = kind, train, other, side
        n = train + 2 * other
        rng = np.random.default_rng(0)
        label = rng.integers(0, 3, n)
        self.images = rng.normal(110, 25, (n, side, side))
        for k in range(3):
            self.images[label == k, 4 * k : 4 * k + 4, :8] += 60
        self.images = self.images.clip(0, 255).astype(np.uint8)
        self.label = label

    @property
    def target(self):
        return self.kind

    @property
    def class_names(self):
        return ["negative", "positive"] if self.kind == "binary" else ["a", "b", "c"]

    @property
    def in_chans(self):
        return 1

    def load_samples(self) -> SampleTable:
        n = len(self.label)
        if self.kind == "binary":
            targets = (self.label == 0).astype(np.float32)[:, None]
        elif self.kind == "multilabel":
            targets = np.eye(3, dtype=np.float32)[self.label]
            targets[::7, 1] = np.nan
        else:
            targets = self.label.astype(np.int64)
        split = np.array(["train"] * self.train + ["val"] * self.other + ["test"] * self.other)
        return SampleTable(
            ids=as_text(f"s{i}" for i in range(n)),
            targets=targets,
            split=split,
            patients=as_text(f"p{i // 2}" for i in range(n)),
        )

    def make_reader(self, split, size):
        return TinyReader(self.images)
