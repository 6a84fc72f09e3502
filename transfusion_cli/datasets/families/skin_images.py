"""What the data sets of skin images of the International Skin Imaging Collaboration (ISIC) share."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tables import by_name, read_table, require_columns
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.datasets.families.skin_tables import (
    UNKNOWN,
    find_images,
    find_table,
    plain_names,
    read_diagnoses,
)
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


KEYS = ("image", "image_id", "image_name", "isic_id")
"""What tables call the column of the images."""


class SkinImagesDataModule(ImageFilesDataModule):
    """Dermoscopic images with tables of diagnoses and lesions; official parts are used where they are there.

    The tables name the classes as ``class_names`` does, but for upper or lower case.

    Args:
        test_fraction: share of the lesions (ISIC 2020: patients) held out for the test where there are no official test
            images with labels.
        kwargs: as for ``MedicalDataModule``.
    """

    official: ClassVar[tuple[tuple[Split, str, str], ...]] = ()
    """Of each official part the table of diagnoses, without suffix, and the folder of images."""

    metadata: ClassVar[tuple[str, ...]] = ()
    """Tables that tell more of the images, without suffix, those that tell the most first."""

    lesion_table: ClassVar[str] = ""
    """Table with the lesion of each training image, without suffix; empty where the diagnoses come with lesions."""

    target: Target = "multiclass"
    in_chans = 3
    default_augmentation = "any_side_colour"

    def __init__(self, test_fraction: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_test_fraction(test_fraction)
        self.test_fraction = test_fraction

    def load_samples(self) -> SampleTable:
        """Read the official parts; hold out by lesion what they leave open."""
        import pandas as pd

        frame = pd.concat(list(self.parts()), ignore_index=True)
        codes = frame["target"].to_numpy(dtype=np.int64)
        split = as_text(frame["split"])
        split[(codes < 0) & (split != "predict")] = ""
        paths = as_text(frame["path"])
        domains = as_text(frame["domain"].fillna("unknown")) if frame["domain"].notna().any() else None
        targets = codes
        if self.target == "binary":
            targets = np.where(codes < 0, np.nan, codes).astype(np.float32)[:, None]
        table = SampleTable(paths, targets, split, as_text(frame["group"].fillna(frame["name"])), paths, domains)
        self.hold_out_missing(table, self.test_fraction)
        return table

    def parts(self) -> Iterator["pd.DataFrame"]:
        """Rows of each part that is there: name, path, split, target (class or -1), group and domain (or missing)."""
        for split, truth, place in self.official:
            table = find_table(self.folder, truth)
            if table is not None:
                frame = read_diagnoses(table, self.class_names)
                if split == "train" and self.lesion_table:
                    frame["group"] = frame["name"].map(self._lesions())
                yield self.with_files(frame, [place], split, table)
            elif split == "train":
                raise self.absent(f"no table {truth} in {self.folder}")
            else:
                yield self.unlabelled([place])

    def columns_of(self, rows: np.ndarray) -> "pd.DataFrame | None":
        """Columns of the tables of diagnoses and of those beside them: age, sex, site of the lesion."""
        import pandas as pd

        names = [*self.metadata, self.lesion_table, *(table for _, table, _ in self.official)]
        tables = [read_table(path) for name in names if name and (path := find_table(self.folder, name))]
        keyed = [(table, key) for table in tables if (key := next((k for k in KEYS if k in table.columns), None))]
        ids = plain_names(pd.Series(self.samples.ids[rows].astype(object))).to_numpy()
        return by_name([(table, plain_names(table[key])) for table, key in keyed], ids) if keyed else None

    def with_files(self, frame: "pd.DataFrame", places: Sequence[str], split: Split, source: Path) -> "pd.DataFrame":
        """Add the files of named images. No rows where an official part other than ``train`` has no image at all.

        Raises:
            UserError: only some files are there, or none of the training images.
        """
        frame = frame.merge(find_images(self.folder, places), on="name", how="left").assign(split=split)
        missing = frame["path"].isna()
        if missing.all() and split != "train":
            log.info("%s has labels, but its images are not there: left out", source.name)
            return frame[:0]
        if missing.any():
            name = frame["name"][missing].iloc[0]
            raise UserError(
                f"{missing.sum()} of the {len(frame)} images in {source.name} are missing, for example {name!r}\n"
                f"below {self.folder / places[0]}\nUnpack all archives there."
            )
        strangers = int((frame["target"] < 0).sum())
        if strangers:
            log.info("%d images of class %s in %s are left out: none trains it", strangers, UNKNOWN, source.name)
        return frame

    def unlabelled(self, places: Sequence[str]) -> "pd.DataFrame":
        """Images without labels, for prediction."""
        return find_images(self.folder, places).assign(split="predict", target=-1, group=None, domain=None)

    def _lesions(self) -> "pd.Series[str] | dict[str, str]":
        """Lesion by image; images that the table does not name, or gives no lesion, are lesions of their own."""
        path = find_table(self.folder, self.lesion_table)
        if path is None:
            text = "No %s.csv in %s: several images of a lesion can be in different splits"
            log.warning(text, self.lesion_table, self.folder)
            return {}
        frame = read_table(path)
        require_columns(frame, ["image", "lesion_id"], path)
        return frame.assign(name=plain_names(frame["image"])).drop_duplicates("name").set_index("name")["lesion_id"]
