"""MedMNIST v2 and MedMNIST+, in two dimensions and in three."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.layout.download import download as download_file
from transfusion_cli.data.reading.npz import read_header, read_npz
from transfusion_cli.data.reading.readers import ArrayReader
from transfusion_cli.data.samples import SPLITS, SampleTable, Split, as_text
from transfusion_cli.datasets.families.medmnist_facts import FACTS, Flag, Size
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

URL = "https://zenodo.org/records/10519652/files/{name}?download=1"
MOST_IMAGES = 1_000_000
"""Images that a split may say it has; the largest has 165,466."""

DEFAULT_ROOT = "~/.medmnist"


class MedMNISTDataModule(MedicalDataModule):
    """MedMNIST: twelve small sets of images, six of volumes, with official splits, one npz file each.

    Source: https://zenodo.org/records/10519652, or --data.download true
    Licence: CC BY 4.0, dermamnist CC BY-NC 4.0
    Layout: pneumoniamnist.npz, or pneumoniamnist_224.npz for larger images
    Group: image, for the files tell no patients
    Classes: as published, see ``transfusion check``
    Counts: 780 (breastmnist) to 236,386 images (tissuemnist)
    Cite: Yang et al. 2023, doi:10.1038/s41597-022-01721-8

    The official splits are used as they are; ``val_fraction`` and ``split_seed`` have no effect. The metrics of the
    authors are ``auroc`` and ``accuracy``. The sets called ...3d are volumes, and ask for a backbone in three
    dimensions. Of these, adrenalmnist3d and vesselmnist3d are shapes without grey levels: a test says beside the
    network's AUROC that of their size alone. nodulemnist3d is of LIDC, organmnist3d of LiTS.

    Args:
        flag: name of the set.
        size: side of the images in the file; of volumes 28 or 64.
        download: fetch the file (and compare its checksum) if it is not in ``root``.
        kwargs: as for ``MedicalDataModule``. ``root`` is the folder with ``pneumoniamnist.npz`` or, for larger images,
            ``pneumoniamnist_224.npz``; null means ``~/.medmnist``.
    """

    def __init__(self, flag: Flag = "pneumoniamnist", size: Size = 28, download: bool = False, **kwargs: Any) -> None:
        if flag not in FACTS:
            raise UserError(f"No MedMNIST set {flag!r}\n{did_you_mean(flag, FACTS)}")
        if size not in FACTS[flag].md5:
            there = " or ".join(map(str, FACTS[flag].md5))
            raise UserError(f"There is no file of {flag} with {size} voxels a side\nTry --data.size {there}")
        self.flag, self.facts, self.file_size, self.download = flag, FACTS[flag], size, download
        self.in_chans, self.default_augmentation = self.facts.channels, self.facts.augmentation
        self.dims = self.facts.dims
        super().__init__(**kwargs)
        if self.root is None:
            self.root = Path(DEFAULT_ROOT).expanduser()
        self._arrays: dict[Split, np.ndarray] = {}

    @property
    def target(self) -> Target:
        """Kind of target of this set."""
        return self.facts.target

    @property
    def class_names(self) -> list[str]:
        """Official classes in the order of the labels."""
        return self.facts.class_names

    @property
    def own_size(self) -> tuple[int, ...] | None:
        """Of volumes, that of the file: larger ones hold no more."""
        return (self.file_size,) * 3 if self.dims == 3 else None

    @property
    def path(self) -> Path:
        """The npz file."""
        assert self.root is not None
        return self.root / (f"{self.flag}.npz" if self.file_size == 28 else f"{self.flag}_{self.file_size}.npz")

    def prepare_data(self) -> None:
        """Download the file if asked and absent."""
        if self.download and not self.path.is_file():
            download_file(URL.format(name=self.path.name), self.path, self.facts.md5[self.file_size])
        super().prepare_data()

    def load_samples(self) -> SampleTable:
        """Read the labels of all splits."""
        if not self.path.is_file():
            raise UserError(
                f"MedMNIST file not found: {self.path}\n"
                f"Get it from {URL.format(name=self.path.name)} ({self.facts.licence}),\n"
                "or let transfusion fetch it: --data.download true"
            )
        labels = [self._labels(split) for split in SPLITS]
        counts = tuple(len(part) for part in labels)
        if counts != self.facts.counts:
            log.warning("%s holds %s images (train, val, test); published: %s", self.path, counts, self.facts.counts)
        return SampleTable(
            ids=as_text(f"{split}_{i:06d}" for split, count in zip(SPLITS, counts, strict=True) for i in range(count)),
            targets=np.concatenate(labels),
            split=np.repeat(SPLITS, counts),
        )

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> ArrayReader:
        """Take images from the file's array, mapped or read once."""
        if split not in self._arrays:
            self._arrays[split] = read_npz(self.path, f"{split}_images")
        # Rows of the table, not of the split: some may be left out.
        first_row = int(np.flatnonzero(np.char.startswith(self.samples.ids, f"{split}_"))[0])
        return ArrayReader(self._arrays[split], first_row, self.path)

    def sizes(self, rows: np.ndarray) -> np.ndarray | None:
        """Voxels of each shape, of the sets that are shapes."""
        if not self.facts.shapes:
            return None
        table = self.samples
        readers = {split: self.make_reader(split, None) for split in SPLITS}
        return np.array([np.count_nonzero(readers[table.split[row]](row) > 127) for row in rows.tolist()])

    def _labels(self, split: Split) -> np.ndarray:
        """Labels of a split, each of which has an image, as the file's headers say: what does not fit is not read."""
        name = f"{split}_labels"
        shape, dtype = read_header(self.path, name)
        classes, width = len(self.class_names), len(self.class_names) if self.target == "multilabel" else 1
        if len(shape) != 2 or shape[0] > MOST_IMAGES or shape[1] != width or dtype.kind not in "biu":
            raise self._unfit(name, f"{dtype} {shape}", f"integers (N, {width})")
        images, side = read_header(self.path, f"{split}_images"), self.file_size
        expected = (shape[0], *[side] * self.dims) + ((3,) if self.in_chans == 3 else ())
        if images != (expected, np.dtype(np.uint8)):
            raise self._unfit(f"{split}_images", f"{images[1]} {images[0]}", f"uint8 {expected} for as many labels")
        labels = read_npz(self.path, name)
        highest = 1 if self.target in ("binary", "multilabel") else classes - 1
        if labels.size and not (labels.min() >= 0 and labels.max() <= highest):
            raise self._unfit(name, f"values from {labels.min()} to {labels.max()}", f"0 to {highest}")
        if self.target in ("binary", "multilabel"):
            return labels.astype(np.float32)
        return labels[:, 0].astype(np.int64)

    def _unfit(self, name: str, found: str, expected: str) -> UserError:
        return UserError(f"{name} of {self.path} do not fit {self.flag}\nFound {found}; expected {expected}")
