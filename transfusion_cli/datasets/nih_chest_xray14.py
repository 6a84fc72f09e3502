"""NIH ChestX-ray14."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.listed import report_missing, which_folder
from transfusion_cli.data.layout.tables import by_name, read_table, refuse, require_columns
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

FINDINGS = {
    "Atelectasis": 11559,
    "Cardiomegaly": 2776,
    "Consolidation": 4667,
    "Edema": 2303,
    "Effusion": 13317,
    "Emphysema": 2516,
    "Fibrosis": 1686,
    "Hernia": 227,
    "Infiltration": 19894,
    "Mass": 5782,
    "Nodule": 6331,
    "Pleural_Thickening": 3385,
    "Pneumonia": 1431,
    "Pneumothorax": 5302,
}
"""The labels, and how many of the 112,120 images have each."""

VIEWS = {"PA": 67310, "AP": 44810}
"""Images of each view position."""

_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_FOLDERS = ("images_[0-9][0-9][0-9]/images", "images_[0-9][0-9][0-9]", "images/images", "images")


class NIHChestXRay14DataModule(ImageFilesDataModule):
    """NIH ChestX-ray14: fourteen findings read from the reports of an American hospital.

    Source: https://nihcc.app.box.com/v/ChestXray-NIHCC, or https://www.kaggle.com/datasets/nih-chest-xrays/data
    Licence: free to use with attribution to the NIH Clinical Center
    Layout: Data_Entry_2017.csv or Data_Entry_2017_v2020.csv, train_val_list.txt, test_list.txt, and
        images_001/images/*.png to images_012/images/*.png, or images/*.png
    Group: patient
    Classes: fourteen findings; "No Finding" is none of them
    Counts: 112,120 images of 30,805 patients: 86,524 for training, 25,596 for the test
    Cite: Wang et al. 2017, doi:10.1109/CVPR.2017.369

    The official lists share no patient; validation patients are drawn from ``train_val_list.txt``. Without the lists
    test patients are drawn too: such numbers cannot be compared with published ones. The images of RSNAPneumonia
    and ChestMNIST are among these: do not train on one and test on another.

    Args:
        labels: only some of the findings, for example ``[Pneumothorax, Effusion]``; null takes all fourteen.
        view_position: only images taken ``PA`` (standing) or ``AP`` (as a rule lying); null takes both.
        test_fraction: share of the patients for the test where the official lists are absent.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = _TABLES
    target: Target = "multilabel"
    class_names = list(FINDINGS)
    in_chans = 1

    def __init__(
        self,
        labels: list[str] | None = None,
        view_position: Literal["PA", "AP"] | None = None,
        test_fraction: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name in labels or ():
            if name not in FINDINGS:
                raise UserError(f"labels: NIH ChestX-ray14 has no {name!r}\n{did_you_mean(name, FINDINGS)}")
        self.class_names = labels or self.class_names
        self.view_position, self.test_fraction = view_position, test_fraction

    @property
    def published(self) -> dict[str, int]:
        """Of the whole data set, or of one view."""
        if self.view_position:
            return {"images": VIEWS[self.view_position]}
        counts = {"images": 112120, "patients": 30805}
        if (self.folder / "test_list.txt").is_file():
            counts |= {"train+val": 86524, "test": 25596}
        return counts | {f"class:{name}": FINDINGS[name] for name in self.class_names}

    def load_samples(self) -> SampleTable:
        """Read the table and the lists, and find the images."""
        frame = _read(path := self._table)
        has = _findings(frame, path)
        targets = has[:, [list(FINDINGS).index(label) for label in self.class_names]].astype(np.float32)
        keep = np.ones(len(frame), dtype=bool)
        if self.view_position:
            require_columns(frame, ["View Position"], path)
            keep = (frame["View Position"].astype("str").str.strip() == self.view_position).to_numpy()
        names = as_text(frame["Image Index"].to_numpy())
        patients = as_text(frame["Patient ID"].astype("str").str.zfill(8).to_numpy())
        paths = self._paths(names, keep, path)
        table = SampleTable(names, targets, self._split(names), patients, paths, source_labels=has, unused=~keep)
        self.hold_out_missing(table, self.test_fraction)
        return table

    def columns_of(self, rows: np.ndarray) -> "pd.DataFrame":
        """Columns of the table: Patient Age, Patient Gender, View Position and so on."""
        frame = _read(self._table)
        return by_name([(frame, frame["Image Index"])], self.samples.ids[rows])

    @property
    def _table(self) -> Path:
        return next(self.folder / name for name in _TABLES if (self.folder / name).is_file())

    def _paths(self, names: np.ndarray, keep: np.ndarray, table: Path) -> np.ndarray:
        folders = [path for pattern in _FOLDERS for path in sorted(self.folder.glob(pattern)) if path.is_dir()]
        where = which_folder(names, folders)
        if not (where >= 0).any():
            raise self.absent(f"no images in {self.folder}/images_001/images and so on")
        report_missing(names[keep], where[keep] < 0, table, self.exclude)
        prefixes = as_text(path.relative_to(self.folder).as_posix() + "/" for path in folders)
        return np.char.add(prefixes[where], names)

    def _split(self, names: np.ndarray) -> np.ndarray:
        """``train``, and ``test`` by the official lists where they are."""
        lists = {"train": self.folder / "train_val_list.txt", "test": self.folder / "test_list.txt"}
        if not all(path.is_file() for path in lists.values()):
            log.warning("No train_val_list.txt and test_list.txt in %s: test patients are drawn at random", self.folder)
            return np.full(len(names), "train")
        split = np.full(len(names), "", dtype="<U5")
        for part, path in lists.items():
            split[np.isin(names, path.read_text(encoding="utf-8").split())] = part
        if (split == "").any():
            log.warning("%d images are in neither list and in no split", (split == "").sum())
        return split


def _read(path: Path) -> "pd.DataFrame":
    """The table by the columns that can be trusted: the last ones have commas within brackets in their names."""
    frame = read_table(path)
    require_columns(frame, ["Image Index", "Finding Labels", "Patient ID"], path)
    bad = frame["Patient ID"].isna().to_numpy()
    refuse(bad, frame["Patient ID"], "Patient ID", path, "the number of the patient")
    return frame


def _findings(frame: "pd.DataFrame", path: Path) -> np.ndarray:
    """Which of ``FINDINGS`` each image has, bool (N, 14): whole names between bars; anything else is an error."""
    codes, kinds = frame["Finding Labels"].fillna("").astype("str").factorize()
    found = [{name.strip() for name in kind.split("|")} for kind in kinds]
    bad = np.array([not names <= set(FINDINGS) and names != {"No Finding"} for names in found], dtype=bool)
    allowed = ", ".join(FINDINGS) + " with | between, or No Finding alone"
    refuse(bad[codes], frame["Finding Labels"], "Finding Labels", path, allowed)
    return np.asarray(np.array([[label in names for label in FINDINGS] for names in found], dtype=bool)[codes])
