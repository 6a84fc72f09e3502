"""PatchCamelyon: patches of lymph nodes in HDF5 files."""

import logging
import shlex
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.gunzip import gunzip
from transfusion_cli.data.layout.tables import read_table, refuse, require_columns
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.protocols import check_literal
from transfusion_cli.data.reading.hdf5 import HDF5Reader, open_array
from transfusion_cli.data.samples import SPLITS, SampleTable, Split, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

NAME = "camelyonpatch_level_2_split_{part}_{kind}"
PARTS: dict[Split, str] = {"train": "train", "val": "valid", "test": "test"}
"""What the files call our splits."""

SMALL: dict[Split, int] = {"train": 5000, "val": 1000}
"""Images of Kanavati & Tsuneki's small variant; the test stays whole."""

PATCH_BYTES = 96 * 96 * 3

MOST_LABELS = 10_000_000
"""Labels that a file may say it has before it is read; the largest has 262,144."""

TOLERATED = 0.01
"""Share of labels that may differ from the meta file's; of swapped files about half do."""

_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


class PatchCamelyonDataModule(OpenFilesDataModule):
    """PatchCamelyon: lymph node patches of 96 pixels, tumour in their middle or not.

    Source: https://github.com/basveeling/pcam (HDF5 and meta files),
        or https://zenodo.org/records/2546921 (HDF5 files alone)
    Licence: CC0 1.0
    Layout: camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5 or .h5.gz, and ..._meta.csv, in it or in pcam/
    Group: slide, from the meta files
    Classes: normal, tumour (any tumour pixel in the central 32 x 32)
    Counts: 262,144 for training, 32,768 for validation, 32,768 for the test, half of them tumour
    Cite: Veeling et al. 2018, arXiv:1806.03962; Ehteshami Bejnordi et al. 2017, doi:10.1001/jama.2017.14585

    The official splits share no slide; ``val_fraction`` and ``split_seed`` have no effect. Files of valid and test have
    the same size and are easily swapped (published checksums do not agree on which is which), so labels are compared
    with the meta files where these are there; without them slides are not known and intervals are over
    images. What lies outside the centre does not count: augmentation that shifts or crops changes the truth.

    Args:
        unpack: folder to unpack the images of ``.h5.gz`` files into, once, 9 GB in all; null refuses packed images,
            and they are packed after ``download``. Packed labels need no unpacking.
        protocol: ``official``, or ``partial_transfusion`` (Kanavati & Tsuneki 2021), the same splits.
        small: train on the first 5,000 images and validate on the first 1,000 (Kanavati & Tsuneki 2021); the test set
            stays whole.
        literal: with ``partial_transfusion``: no effect, nothing leaks in these splits.
        kwargs: as for ``OpenFilesDataModule`` and ``MedicalDataModule``.
    """

    landmarks = (NAME.format(part="train", kind="x.h5*"),)
    target: Target = "binary"
    class_names = ["normal", "tumour"]
    in_chans = 3
    default_augmentation = "any_side_colour"
    archive = "patch_camelyon"

    def __init__(
        self,
        unpack: str | None = None,
        protocol: Literal["official", "partial_transfusion"] = "official",
        small: bool = False,
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        self.unpack = None if unpack is None else Path(unpack).expanduser()
        self.small = small
        self._rows: dict[Split, range] = {}

    @property
    def published(self) -> dict[str, int]:
        """From the authors' page; the small variant's from the paper's code."""
        counts = {"train": 262_144, "val": 32_768, "test": 32_768}
        return counts | {str(split): size for split, size in SMALL.items()} if self.small else counts

    def prepare_data(self) -> None:
        """Download what is absent and unpack what is packed, if asked."""
        super().prepare_data()
        if self.unpack is not None:
            for split in SPLITS:
                self._images(split)

    def load_samples(self) -> SampleTable:
        """Read the labels and, where the meta files are there, the slides."""
        labels = [self._labels(split) for split in SPLITS]
        slides = [self._slides(split, part) for split, part in zip(SPLITS, labels, strict=True)]
        known = [part for part in slides if part is not None]
        if len(known) < len(SPLITS):
            log.warning("PatchCamelyon: not every _meta.csv is in %s, so slides are not known", self.folder)
        counts = [len(part) for part in labels]
        ends = np.cumsum(counts).tolist()
        self._rows = {s: range(end - n, end) for s, n, end in zip(SPLITS, counts, ends, strict=True)}
        table = SampleTable(
            ids=as_text(f"{PARTS[split]}_{i:06d}" for split, rows in self._rows.items() for i in range(len(rows))),
            targets=np.concatenate(labels).astype(np.float32)[:, None],
            split=np.repeat(SPLITS, counts),
            patients=np.concatenate(known) if len(known) == len(SPLITS) else None,
        )
        if self.small:
            for split, size in SMALL.items():
                table.split[table.rows(split)[size:]] = ""
        return table

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> HDF5Reader:
        """Take images from the HDF5 file of a split."""
        _ = self.samples  # knows the rows
        rows, path = self._rows[split], self._images(split)
        images = open_array(path, "x")
        if images.shape != (len(rows), 96, 96, 3) or images.dtype != np.uint8:
            raise UserError(
                f"The images of {path} do not fit its labels\n"
                f"Found {images.dtype} {images.shape}; expected uint8 ({len(rows)}, 96, 96, 3)"
            )
        return HDF5Reader(path, "x", rows.start)

    def _file(self, split: Split, kind: str) -> Path:
        """The file, plain rather than packed."""
        name = NAME.format(part=PARTS[split], kind=kind) + ".h5"
        for path in (self.folder / name, self.folder / f"{name}.gz"):
            if path.is_file():
                return path
        raise self.absent(f"no {name} or {name}.gz in {self.folder}")

    def _images(self, split: Split) -> Path:
        path = self._file(split, "x")
        if path.suffix != ".gz":
            return path
        if self.unpack is None:
            raise UserError(
                f"A gzipped HDF5 file cannot be read in random order: {path}\n"
                f"Unpack it:                    gunzip --keep {shlex.quote(str(path))}\n"
                "or let transfusion unpack it: --data.unpack DIR"
            )
        # Twice the pixels leave room for all that HDF5 adds.
        return gunzip(path, self.unpack, 2 * len(self._labels(split)) * PATCH_BYTES + 10**6)

    def _labels(self, split: Split) -> np.ndarray:
        path = self._file(split, "y")
        array = open_array(path, "y")
        if array.size > MOST_LABELS:
            raise UserError(f"{array.size:,} labels in {path}\nIt is not the file expected here.")
        labels = np.asarray(array).reshape(-1)
        if not np.isin(labels, (0, 1)).all():
            raise UserError(f"Labels other than 0 and 1\nin {path}\nRemove the file and get it again.")
        return labels

    def _slides(self, split: Split, labels: np.ndarray) -> np.ndarray | None:
        """Slide of each patch from the meta file, None without one."""
        path = self.folder / f"{NAME.format(part=PARTS[split], kind='meta')}.csv"
        if not path.is_file():
            return None
        frame = read_table(path)
        require_columns(frame, ["center_tumor_patch", "wsi"], path)
        truth = frame["center_tumor_patch"].astype("str").str.lower().map(_TRUTH)
        refuse(truth.isna().to_numpy(), frame["center_tumor_patch"], "center_tumor_patch", path, "True, False")
        refuse(frame["wsi"].isna().to_numpy(), frame["wsi"], "wsi", path, "the name of a slide")
        slides = as_text(frame["wsi"].to_numpy())
        if wrong := _mismatch(split, labels, truth.to_numpy(), slides):
            raise UserError(
                f"{path.name} {wrong}\nin {self.folder}\n"
                "Files of valid, test and train are swapped, or from elsewhere: name all three of a split alike."
            )
        return slides


def _mismatch(split: Split, labels: np.ndarray, truth: np.ndarray, slides: np.ndarray) -> str:
    """What shows that a meta file is not that of the labels, or both not those of the split; empty if nothing does."""
    if len(truth) != len(labels):
        return f"has {len(truth)} rows for {len(labels)} labels"
    differ = int((truth != labels).sum())
    if differ > TOLERATED * len(labels):
        return f"disagrees with {differ} of {len(labels)} labels"
    if differ:
        log.warning("PatchCamelyon: %d of %d labels of %s are others in its meta file", differ, len(labels), split)
    # The test patches are from Camelyon16's test slides, all others from its training slides.
    other = "train" if split == "test" else "test"
    if np.char.startswith(slides, f"camelyon16_{other}_").all():
        return f"names slides of Camelyon16's {other} set alone"
    return ""
