"""MURA: radiographs of arms and hands, normal or abnormal."""

from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("ELBOW", "FINGER", "FOREARM", "HAND", "HUMERUS", "SHOULDER", "WRIST")
_STUDY = r"(?P<study>XR_(?P<part>[A-Z]+)/(?P<patient>patient\d+)/study\d+_(?P<finding>positive|negative))"


class MURADataModule(ImageFilesDataModule):
    """MURA: radiographs of elbow, finger, forearm, hand, humerus, shoulder and wrist, normal or abnormal.

    Source: https://stanfordmlgroup.github.io/competitions/mura/ (MURA-v1.1.zip, after registration)
    Licence: Stanford University School of Medicine MURA Dataset Research Use Agreement
    Layout: train_image_paths.csv, train_labeled_studies.csv, valid_image_paths.csv, valid_labeled_studies.csv and
        {train,valid}/XR_*/patient*/study*_{positive,negative}/image*.png
    Group: patient, over all parts of the body; domain: the part; exam: the study
    Classes: normal, abnormal
    Counts: 36,808 images of 13,457 studies for training, 3,197 of 1,199 for the test, of 11,967 patients
    Cite: Rajpurkar et al. 2018, arXiv:1712.06957

    The official ``valid`` is the test split (the true test images were never published), and validation patients are
    drawn from ``train``. Patients are numbered through over both. A study is abnormal or not as a whole, and its
    probability is the mean over its images: ``test[exams]/kappa`` is the metric of the challenge, Cohen's kappa.

    Args:
        parts: only some parts of the body, for example ``[ELBOW, WRIST]``; null takes all seven.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("train_image_paths.csv",)
    target: Target = "binary"
    class_names = ["normal", "abnormal"]
    in_chans = 1
    default_augmentation = "mirror"

    def __init__(self, parts: list[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in parts or ():
            if name not in PARTS:
                raise UserError(f"parts: MURA has no {name!r}\n{did_you_mean(name, PARTS)}")
        self.parts = parts

    @property
    def published(self) -> dict[str, int]:
        """Of all parts together."""
        return {} if self.parts else {"train+val": 36808, "test": 3197, "patients": 11967}

    def load_samples(self) -> SampleTable:
        """Read the lists of images and of studies."""
        import pandas as pd

        train, valid = self._read("train"), self._read("valid")
        frame = pd.concat([train, valid], ignore_index=True)
        paths, studies = as_text(frame["file"]), as_text(frame["study"])
        split = np.repeat(["train", "test"], [len(train), len(valid)])
        targets = frame["label"].to_numpy(dtype=np.float32)[:, None]
        parts, patients = as_text(frame["part"]), as_text(frame["patient"])
        unused = None if self.parts is None else ~np.isin(parts, self.parts)
        table = SampleTable(paths, targets, split, patients, paths, parts, studies, unused=unused)
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _read(self, part: str) -> "pd.DataFrame":
        """Path, study, part of the body, patient and label of each image of ``train`` or ``valid``."""
        import pandas as pd

        images = self._list(f"{part}_image_paths.csv", ["path"], rf"{part}/{_STUDY}/(?P<image>[^/]+)$")
        studies = self._list(f"{part}_labeled_studies.csv", ["path", "label"], rf"{part}/{_STUDY}/?$")
        labels = pd.to_numeric(studies["label"], errors="coerce")
        differs = labels != (studies["finding"] == "positive")
        self._refuse(differs, studies, "labels at odds with the folder's name", f"{part}_labeled_studies.csv")
        images["label"] = images["study"].map(dict(zip(studies["study"], labels, strict=True)))
        unlabelled = images["label"].isna()
        self._refuse(unlabelled, images, f"images of no study in {part}_labeled_studies.csv", f"{part}_image_paths.csv")
        return images[~images["image"].str.startswith(".")]  # what macOS leaves behind

    def _list(self, name: str, columns: list[str], pattern: str) -> "pd.DataFrame":
        """Read a table without a header; add what the paths say, whose first folder may have another name on disk."""
        import pandas as pd

        path = self.folder / name
        if not path.is_file():
            raise self.absent(f"no {name} in {self.folder}")
        frame = pd.read_csv(path, header=None, names=columns, index_col=False, dtype="str")
        told = frame["path"].str.extract(rf"(?:^|/)(?P<file>{pattern})")
        self._refuse(told["file"].isna(), frame, "paths of another form", name)
        return frame.join(told)

    def _refuse(self, bad: "pd.Series[bool]", frame: "pd.DataFrame", what: str, name: str) -> None:
        """Fail if any row is ``bad``, naming the first by its line in the file, which has no header."""
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise UserError(
                f"{bad.sum()} {what}, for example row {row + 1}: {frame['path'].iloc[row]}\n"
                f"in {self.folder / name}\n"
                "Expected .../train/XR_HAND/patient00001/study1_positive/image1.png, a study .../study1_positive/,1"
            )
