"""The user's own images, from class folders or from a table."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.layout.columns import find_image_column
from transfusion_cli.data.layout.image_index import ImageIndex, index_folder
from transfusion_cli.data.layout.label_encoding import EncodedLabels, encode_labels, label_strata
from transfusion_cli.data.layout.own_files import OwnFiles
from transfusion_cli.data.layout.split_column import log_splits, settle_splits
from transfusion_cli.data.layout.tables import by_name, read_table
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.reading.intensity import check_window
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.splits import check_fold
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target


class ImageTableDataModule(MedicalDataModule):
    r"""Your own images: a class-per-folder tree, or a CSV or Parquet table with paths, labels, patients and splits.

    Source: your own disk
    Group: patient, from a column or from the paths

    PNG, JPEG and TIFF with 8 or 16 bits, DICOM and whatever else Pillow reads. What the source does not say is drawn by
    patient: the test split first, then the validation split, stratified by the rarest label of each patient. Columns of
    1, 0 and blank count there whether they are asked for or not, so that a choice of labels moves no patient. Where no
    patients are known, images are drawn, and exact copies stay together.

    Args:
        table: CSV or Parquet file, by itself or relative to ``root``. Null reads the folders of ``root``:
            ``<class>/<image>``, ``{train,val,test}/<class>/<image>`` or ``<class>/{train,val,test}/<image>``.
        image_column: column with the image paths, relative to ``root`` or, without it, to the table; null takes
            ``image``, or else the one whose name says so (image_id, Image Index, filename, id and the like). Paths that
            lack their ending or their first folders, or are written for another system, are found all the same.
        label_columns: one column, which holds a class or a list of labels, or several columns of 1, 0 and blank
            (unknown), one for each label.
        patient_column: column with the patient; null takes the one whose name says so (patient, PatientID, subject, MRN
            and the like, or else case, study, slide, lesion), and ``none`` says that every image stands for itself.
        patient_pattern: regular expression that finds the patient in the path, for sources without such a column, for
            example ``person(\d+)``.
        split_column: column with train, val and test; null takes ``split`` where there is one. A blank cell goes where
            the other images of its patient go, or else to the training images, of which a test or validation split
            that nobody is given is drawn; exclude, unused or none leaves the image out.
        kind: kind of target. Null infers it: two classes are binary, more are multiclass, several columns or
            several labels in a cell multilabel; ordinal has to be asked for.
        classes: names of classes or labels in order, the positive one last for a binary target. Null takes those
            that occur, in the order of numbers or of the alphabet.
        separator: between the labels of one cell.
        channels: 1 reads images as grey, 3 as colour.
        window: centre and width of the values shown, for DICOM (Hounsfield units for CT) and other images deeper
            than 8 bits. Null takes the file's own window, or else the full range.
        test_fraction: share of the patients held out for the test where the source has no test split; 0 for none.
        folds: number of folds that patients are dealt out to by ``split_seed``, for cross-validation.
        fold: which of them is the test split, counted from 0; validation patients are drawn from the others.
        kwargs: as for ``MedicalDataModule``.
    """

    def __init__(
        self,
        table: str | None = None,
        image_column: str | None = None,
        label_columns: str | list[str] = "label",
        patient_column: str | None = None,
        patient_pattern: str | None = None,
        split_column: str | None = None,
        kind: Target | None = None,
        classes: list[str] | None = None,
        separator: str = "|",
        channels: Literal[1, 3] = 3,
        window: tuple[float, float] | None = None,
        test_fraction: float = 0.2,
        folds: int | None = None,
        fold: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_fold(fold, folds)
        check_test_fraction(test_fraction, ends=(0,))  # all is for training
        if window is not None:
            check_window(window)
        self.table = None if table is None else Path(table).expanduser()
        self.columns = image_column, split_column, patient_column, patient_pattern
        _ = self.own  # Mistakes come to light before any data are read.
        self.label_columns = [label_columns] if isinstance(label_columns, str) else list(label_columns)
        self.kind, self.classes, self.separator = kind, classes, separator
        self.in_chans, self.window, self.test_fraction = channels, window, test_fraction
        self.folds, self.fold = folds, fold

    @property
    def target(self) -> Target:
        """As asked for, or as inferred from the labels."""
        return self.kind or self.labels.kind

    @property
    def class_names(self) -> list[str]:
        """Classes or labels, as asked for or as found."""
        return self.labels.class_names

    @property
    def own(self) -> OwnFiles:
        """Where the images are, and how their patients and splits are told."""
        return OwnFiles(self.root, self.table, *self.columns)

    @cached_property
    def index(self) -> ImageIndex:
        """What the folder or the table says; read on first use."""
        if self.table is not None:
            index = self.own.index(self.label_columns)
        elif self.root is not None:
            index = index_folder(self.root)
        else:
            what = "one folder of images per class"
            raise UserError(f"No data: give --data.root FOLDER, with {what}, or --data.table FILE")
        self.own.find_patients(index)
        return index

    @cached_property
    def labels(self) -> EncodedLabels:
        """Targets with their kind and names."""
        return encode_labels(self.index, self.kind, self.classes, self.separator)

    def load_samples(self) -> SampleTable:
        """Encode the labels and draw the splits that the source does not give."""
        index = self.index
        given = np.full(len(index.paths), "") if index.split is None else index.split
        split, follows = settle_splits(given, index.patients)
        files = self.own.find(index.paths, index.source)
        table = SampleTable(index.paths, self.labels.targets.copy(), split, index.patients, files)
        table.source_labels = label_strata(index, self.separator)
        if not len(table.rows("train")):
            raise UserError(f"The train split is empty\nin {index.source}")
        if self.folds is not None:
            self._take_fold(table, self.folds)
        drawn = self.hold_out_missing(table, self.test_fraction)
        if index.split is not None:
            log_splits(given, follows, {part: len(table.rows(part)) for part in drawn})
        return table

    def _take_fold(self, table: SampleTable, number: int) -> None:
        """Make one fold of all patients the test split.

        Raises:
            UserError: the source has a test split already, whose patients nobody else may become.
        """
        if len(table.rows("test")):
            raise UserError(
                f"{self.index.source} has a test split, and folds deal patients out anew\n"
                "Leave out --data.folds; or write 'exclude' in place of 'test', which keeps these out of all folds."
            )
        table.split[self.deal_folds(table, number) == self.fold] = "test"

    def columns_of(self, rows: np.ndarray) -> Any:
        """All columns of the table."""
        if self.table is None:
            return super().columns_of(rows)
        frame = read_table(self.own.file)
        names = frame[find_image_column(frame, self.columns[0], self.own.file)]
        return by_name([(frame, names)], self.samples.ids[rows])

    @property
    def folder(self) -> Path:
        """``root``, or without it the folder of the table."""
        return self.own.folder

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> FileReader:
        """Read files below ``root`` or beside the table."""
        assert self.samples.paths is not None
        return self.file_reader(self.folder, self.samples.paths, size)

    def file_reader(self, folder: Path, paths: np.ndarray, size: tuple[int, ...] | None) -> FileReader:
        """Read files through the window."""
        return FileReader(folder, paths, self.in_chans, self.window, at_least=size)
