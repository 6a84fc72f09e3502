"""EyePACS: the Kaggle competition of 2015 on diabetic retinopathy."""

import logging
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.locate import locate
from transfusion_cli.data.layout.tables import read_table, refuse, require_columns
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.datasets.families.fundus import FundusDataModule
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

LABELS, SOLUTION = "trainLabels.csv", "retinopathy_solution.csv"

Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Paths, grades and patients."""


class EyePACSDataModule(FundusDataModule):
    """EyePACS (Kaggle 2015): retinal photographs in five grades of diabetic retinopathy, both eyes of each patient.

    Source: https://www.kaggle.com/c/diabetic-retinopathy-detection/data
    Licence: the rules of the competition, to be accepted there
    Layout: trainLabels.csv and train/*.jpeg; for the official test retinopathy_solution.csv and test/*.jpeg
    Group: patient, the number before _left and _right
    Classes: no DR, mild, moderate, severe, proliferative; or referable (moderate and above)
    Counts: 35,126 images for training (25,810, 2,443, 5,292, 873 and 708 by grade), 53,576 for the test
    Cite: Kaggle and EyePACS 2015, Diabetic Retinopathy Detection

    The official test split takes ``test/`` with its grades. Where either is missing, test patients are drawn from
    ``train/``, and images in ``test/`` without grades become the split ``predict``. Kaggle's measure is kappa with
    quadratic weights. Some images cannot be graded, being dark, blurred or turned upside down, and the grades, by one
    reader each, are noisy.

    Args:
        usage: which part of the official test, by its column ``Usage``: that of Kaggle's public leaderboard (10,906
            images), of the private one (42,670), or both.
        protocol: ``official``; or ``transfusion``, the Retina task of Raghu et al. (2019), whose own images are not
            public: five grades as unordered classes, test and validation patients drawn from ``train/``.
        kwargs: as for ``FundusDataModule``.
    """

    landmarks = (LABELS, "train.zip.001")

    def __init__(
        self,
        usage: Literal["both", "Public", "Private"] = "both",
        protocol: Literal["official", "transfusion"] = "official",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.usage, self.protocol = usage, protocol
        if protocol == "transfusion" and self.task == "grade":
            self.target = "multiclass"  # the grades unordered

    @property
    def published(self) -> dict[str, int]:
        """By grade only where all images are those of train/."""
        if self._has_test():
            test = {"both": 53576, "Public": 10906, "Private": 42670}[self.usage]
            return {"train+val": 35126, "test": test}
        return {"train+val+test": 35126} | self.by_class(25810, 2443, 5292, 873, 708)

    def load_samples(self) -> SampleTable:
        """Read the label tables, find the images, and draw the splits that are missing by patient."""
        parts = {"train": self._part("train", LABELS)}
        if self._has_test():
            parts["test"] = self._part("test", SOLUTION)
        elif self.protocol == "official":
            parts["predict"] = self._unlabelled()
        paths, grades, patients = (np.concatenate(columns) for columns in zip(*parts.values(), strict=True))
        split = np.repeat(list(parts), [len(part[0]) for part in parts.values()])
        table = SampleTable(paths, self.encode(grades), split, patients, paths, source_labels=label_matrix(grades))
        if "test" not in parts:
            self.hold_out_patients(table, self.test_fraction, "test")
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _has_test(self) -> bool:
        if self.protocol != "official" or not (self.folder / SOLUTION).is_file():
            return False
        if not image_files(self.folder / "test"):
            log.warning("No images in %s: the test patients are drawn from train/", self.folder / "test")
            return False
        return True

    def _part(self, part: str, name: str) -> Part:
        path = self.folder / name
        if not path.is_file() or not image_files(self.folder / part):
            raise self._packed(part)
        frame = read_table(path)
        require_columns(frame, ["image", "level"], path)
        names = frame["image"].astype("str").str.strip()
        patients = names.str.extract(r"^(\d+)_(?:left|right)(?:\.\w+)?$")[0]
        refuse(patients.isna().to_numpy(), frame["image"], "image", path, "names such as 10_left and 10_right")
        grades = self.read_grades(frame, "level", path)
        keep = np.ones(len(frame), dtype=bool)
        if part == "test" and self.usage != "both":
            require_columns(frame, ["Usage"], path)
            usage = frame["Usage"].astype("str").str.strip().str.lower()
            refuse(~usage.isin(["public", "private"]).to_numpy(), frame["Usage"], "Usage", path, "Public, Private")
            keep = (usage == self.usage.lower()).to_numpy()
        return locate(self.folder, part, names[keep], ".jpeg"), grades[keep], as_text(patients[keep].to_numpy())

    def _unlabelled(self) -> Part:
        paths = as_text(f"test/{path}" for path in image_files(self.folder / "test"))
        # Not the bare number: these rows are no evidence that a patient of train/ is in the test folder.
        return paths, np.full(len(paths), -1), paths

    def _packed(self, part: str) -> UserError:
        if any(self.folder.glob(f"{part}.zip.0*")) and not image_files(self.folder / part):
            return UserError(
                f"EyePACS: {part}.zip is still in parts\nin {self.folder}\nJoin and unpack them there: "
                f"cat {part}.zip.0* > {part}.zip && unzip {part}.zip   (or 7z x {part}.zip.001)"
            )
        return self.absent(f"no {LABELS} or no images in {self.folder / part} (unzip {LABELS}.zip, train.zip)")
