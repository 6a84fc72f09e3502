"""The user's own images and masks, from two folders or from a table."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.layout.image_index import ImageIndex
from transfusion_cli.data.layout.mask_folders import mask_folders
from transfusion_cli.data.layout.own_files import OwnFiles
from transfusion_cli.data.layout.shared_names import patient_like
from transfusion_cli.data.layout.split_column import LEFT_OUT, log_splits, settle_splits
from transfusion_cli.data.layout.tables import read_table, require_columns
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.reading.intensity import check_window
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

FIELD_COLUMN = "fov"

_BARE = (
    "%d of %d images have no mask, for example %s: %d are the split predict; those of patients with masks are left out"
)


class MaskTableDataModule(ImageMaskDataModule):
    r"""Your own images and masks: two folders, or a CSV or Parquet table with images, masks, patients and splits.

    Source: your own disk
    Group: patient, from a column or from the paths

    Images as for ``ImageTableDataModule``. Masks are PNG, TIFF, GIF, BMP or DICOM of the image's size whose values are
    classes; nothing is guessed of a value that stands for none. What the source does not say is drawn by patient: the
    test split first, then the validation split. Images without a mask whose split is not told are the split
    ``predict``.

    Args:
        classes: names of the values 1, 2 and so on, or the name of each value: ``{1: liver, 2: tumour, 255: ignore}``,
            or of each colour: ``{"255,0,0": nucleus}``. ``background`` and ``ignore`` are no classes. With one name
            alone, masks are black and white, or hold 0 and 1.
        table: CSV or Parquet file, by itself or relative to ``root``. Null reads ``images`` and ``masks`` in ``root``,
            where files of the same name belong together, and ``fov`` where there is one; folders called train, val and
            test, above or in them, tell the split.
        image_column: column with the image paths, relative to ``root`` or, without it, to the table; null takes
            ``image``, or else the one whose name says so.
        mask_column: column with the paths of the masks; blank where there is none.
        fov_column: column with masks of the field of view, outside of which nothing is measured; null takes ``fov``
            where there is one.
        patient_column: column with the patient; null takes the one whose name says so, and ``none`` says that every
            image stands for itself.
        patient_pattern: regular expression that finds the patient in the path, for example ``person(\d+)``.
        split_column: column with train, val and test, as for ``ImageTableDataModule``; null takes ``split`` where
            there is one.
        threshold: grey value from which on a pixel of a mask is of the class, for masks of one class with soft edges;
            null refuses those.
        window: centre and width of the values shown, for images deeper than 8 bits, as for ``ImageTableDataModule``.
        test_fraction: share of the patients held out for the test where the source has no test split; 0 for none.
        kwargs: as for ``ImageMaskDataModule`` and ``MaskDataModule``.
    """

    def __init__(
        self,
        classes: list[str] | dict[str, str] = ["foreground"],  # noqa: B006
        table: str | None = None,
        image_column: str | None = None,
        mask_column: str = "mask",
        fov_column: str | None = None,
        patient_column: str | None = None,
        patient_pattern: str | None = None,
        split_column: str | None = None,
        threshold: int | None = None,
        window: tuple[float, float] | None = None,
        test_fraction: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_test_fraction(test_fraction, ends=(0,))  # all is for training
        if window is not None:
            check_window(window)
        self.table = None if table is None else Path(table).expanduser()
        self.columns = image_column, split_column, patient_column, patient_pattern
        self.mask_column, self.fov_column = mask_column, fov_column
        self.window, self.test_fraction = window, test_fraction
        self._class_names, self.values = MaskValues.of(classes, threshold)
        _ = self.own  # Mistakes come to light before any data are read.

    @property
    def class_names(self) -> list[str]:
        """As asked for."""
        return self._class_names

    @property
    def own(self) -> OwnFiles:
        """Where the images are, and how their patients and splits are told."""
        return OwnFiles(self.root, self.table, *self.columns)

    @property
    def folder(self) -> Path:
        """``root``, or without it the folder of the table."""
        return self.own.folder

    @cached_property
    def index(self) -> ImageIndex:
        """What the folders or the table say, masks and fields of view as its labels; read on first use."""
        if self.table is not None:
            index = self._index_table()
        elif self.root is not None:
            found = mask_folders(self.root)
            split = as_text(found.split) if any(found.split) else None
            labels = {"mask": as_text(found.masks), FIELD_COLUMN: as_text(found.fields)}
            index = ImageIndex(self.root, as_text(found.images), labels, split)
        else:
            raise UserError("No data: give --data.root FOLDER, with images and masks in it, or --data.table FILE")
        pattern, example = patient_like(index.paths.tolist())
        self.own.find_patients(
            index,
            f"Several images are of {example}: if that is a patient, --data.patient_pattern '{pattern}', else "
            "--data.patient_column none"
            if pattern
            else "",
        )
        return index

    def load_samples(self) -> SampleTable:
        """Pair images and masks and draw the splits that the source does not give."""
        index, own = self.index, self.own
        masks, fields = index.labels["mask"], index.labels[FIELD_COLUMN]
        given = np.full(len(index.paths), "") if index.split is None else index.split
        bare = (masks == "") & (given == "")
        given = np.where(bare, LEFT_OUT, given)
        split, follows = settle_splits(given, index.patients)
        split = np.where(bare & ~self._known(index, ~bare), "predict", split)
        if bare.any():
            log.warning(_BARE, bare.sum(), len(bare), index.paths[bare.argmax()], (split == "predict").sum())
        table = SampleTable(
            ids=index.paths,
            targets=np.zeros((len(index.paths), 0), dtype=np.float32),
            split=split,
            patients=index.patients,
            paths=own.find(index.paths, index.source),
            masks=self._found(masks, index.source, "masks"),
            fields=self._found(fields, index.source, "fields of view") if (fields != "").any() else None,
        )
        if not len(table.rows("train")):
            raise UserError(f"The train split is empty\nin {index.source}")
        drawn = self.hold_out_missing(table, self.test_fraction)
        if index.split is not None:
            log_splits(given, follows, {part: len(table.rows(part)) for part in drawn})
        return table

    def _index_table(self) -> ImageIndex:
        path = self.own.file
        frame = read_table(path)
        require_columns(frame, [self.mask_column], path, "--data.mask_column NAME")
        require_columns(frame, [self.fov_column] if self.fov_column else [], path, "--data.fov_column NAME")
        field = self.fov_column or next((name for name in sorted(frame.columns) if name.lower() == FIELD_COLUMN), None)
        index = self.own.index([self.mask_column, *([field] if field else [])])
        none = np.full(len(index.paths), "")
        index.labels = {"mask": index.labels[self.mask_column], FIELD_COLUMN: index.labels[field] if field else none}
        return index

    def _known(self, index: ImageIndex, has: np.ndarray) -> np.ndarray:
        """Which images are of a patient of whom others have a mask, who may be in another split: bool (N,)."""
        if index.patients is None:
            return np.zeros(len(has), dtype=bool)
        return np.isin(index.patients, index.patients[has])

    def _found(self, names: np.ndarray, source: Path, what: str) -> np.ndarray:
        """Files of names, of which some are blank (N,)."""
        there = names != ""
        found = names.astype(object)
        found[there] = self.own.find(names[there], source, what)
        return as_text(found)
