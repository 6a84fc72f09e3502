"""RSNA Pneumonia Detection Challenge, as a classification task."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.listed import report_missing, which_folder
from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CLASSES = {"Normal": 8851, "No Lung Opacity / Not Normal": 11821, "Lung Opacity": 6012}
"""The classes of ``stage_2_detailed_class_info.csv``, and how many images have each."""

HEADER = ("PatientSex", "PatientAge", "ViewPosition")
"""What the files say of the patient and the image."""

MAPPING = "https://s3.amazonaws.com/east1.public.rsna.org/AI/2018/pneumonia-challenge-dataset-mappings_2018.json"
"""Where RSNA publishes which NIH image each is."""


class RSNAPneumoniaDataModule(ImageFilesDataModule):
    """RSNA pneumonia: lung opacities on NIH chest X-rays, marked by radiologists; DICOM.

    Source: https://www.kaggle.com/competitions/rsna-pneumonia-detection-challenge (stage 2)
    Licence: rules of the Kaggle competition; the images are those of the NIH Clinical Center
    Layout: stage_2_train_labels.csv, stage_2_train_images/*.dcm, and if wanted stage_2_detailed_class_info.csv,
        stage_2_test_images/*.dcm and pneumonia-challenge-dataset-mappings_2018.json
    Group: NIH patient, by RSNA's mapping file; else each image is its own
    Classes: no pneumonia, pneumonia; or Normal, No Lung Opacity / Not Normal, Lung Opacity
    Counts: 26,684 images, 6,012 with pneumonia
    Cite: Shih et al. 2019, doi:10.1148/ryai.2019180041

    The table has one row per box; here an image has one row, positive if it has any box. What the table calls
    ``patientId`` is an image: the NIH patients behind them recur, and only RSNA's mapping file, put beside the tables,
    tells who they are; without it patients cross the splits. The labels of the challenge's test images were never
    published: test patients are drawn from the training images, and the test images are the split ``predict``.
    All images are of NIH ChestX-ray14: do not train on one and test on the other.

    Args:
        task: ``pneumonia``, or ``three_class`` to tell healthy lungs from other abnormal ones.
        test_fraction: share of the patients for the test.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("stage_2_train_labels.csv",)
    target: Target = "binary"
    class_names = ["no pneumonia", "pneumonia"]
    in_chans = 1

    def __init__(
        self, task: Literal["pneumonia", "three_class"] = "pneumonia", test_fraction: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.task, self.test_fraction = task, test_fraction
        if task == "three_class":
            self.target, self.class_names = "multiclass", list(CLASSES)

    @property
    def published(self) -> dict[str, int]:
        """Of stage 2."""
        counts = {"train+val+test": 26684}
        if self.task == "pneumonia":
            return counts | {"class:no pneumonia": 20672, "class:pneumonia": 6012}
        return counts | {f"class:{name}": images for name, images in CLASSES.items()}

    def load_samples(self) -> SampleTable:
        """Read the tables and list the images; draw test and validation patients."""
        path = self.folder / "stage_2_train_labels.csv"
        labels = _one_row_per_image(path, "Target", ["0", "1"])
        ids = as_text(labels["patientId"].to_numpy())
        targets = pneumonia = numbers(labels["Target"]).astype(np.float32)[:, None]
        if self.task == "three_class":
            targets = self._classes(ids)
        files = np.char.add(ids, ".dcm")
        missing = np.ones(len(ids), dtype=bool)
        if (self.folder / "stage_2_train_images").is_dir():
            missing = which_folder(files, [self.folder / "stage_2_train_images"]) < 0
        if missing.all():
            raise self.absent(f"no images in {self.folder / 'stage_2_train_images'}")
        report_missing(ids, missing, path, self.exclude)
        unlabelled = self._unlabelled()
        unknown = np.full((len(unlabelled), *targets.shape[1:]), -1 if targets.ndim == 1 else np.nan, targets.dtype)
        patients = self._patients(ids)
        table = SampleTable(
            ids=np.concatenate([ids, unlabelled]),
            targets=np.concatenate([targets, unknown]),
            split=np.repeat(["train", "predict"], [len(ids), len(unlabelled)]),
            # Nothing is measured on the unlabelled images, so their patients may recur: they stand for themselves.
            patients=None if patients is None else np.concatenate([patients, unlabelled]),
            paths=np.char.add(
                np.repeat(["stage_2_train_images/", "stage_2_test_images/"], [len(ids), len(unlabelled)]),
                np.char.add(np.concatenate([ids, unlabelled]), ".dcm"),
            ),
            source_labels=np.pad(pneumonia == 1, ((0, len(unlabelled)), (0, 0))),
        )
        self.hold_out_missing(table, self.test_fraction)
        return table

    def columns_of(self, rows: np.ndarray) -> "pd.DataFrame":
        """PatientSex, PatientAge and ViewPosition, from the header of each file."""
        import pandas as pd
        import pydicom

        assert self.samples.paths is not None
        paths = [self.folder / path for path in self.samples.paths[rows]]
        headers = (pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER)) for path in paths)
        told = [[str(header.get(name) or "") for name in HEADER] for header in headers]
        return pd.DataFrame(told, columns=list(HEADER), dtype="str")

    def _unlabelled(self) -> np.ndarray:
        folder = self.folder / "stage_2_test_images"
        return as_text(sorted(path.stem for path in folder.glob("*.dcm") if not path.name.startswith(".")))

    def _classes(self, ids: np.ndarray) -> np.ndarray:
        path = self.folder / "stage_2_detailed_class_info.csv"
        if not path.is_file():
            raise UserError(f"No {path}\nIt tells the three classes. Put it there, or take --data.task pneumonia")
        names = list(CLASSES)
        frame = _one_row_per_image(path, "class", names)
        code = frame.set_index("patientId")["class"].map(names.index).reindex(ids)
        if code.isna().any():
            raise UserError(
                f"{code.isna().sum()} images have no class, for example {code.index[code.isna()][0]}\nin {path}"
            )
        return code.to_numpy(dtype=np.int64)

    def _patients(self, ids: np.ndarray) -> np.ndarray | None:
        """NIH patient of each image, told by RSNA's mapping, the image itself where it tells none; None without it."""
        import pandas as pd

        found = sorted(self.folder.glob("*mapping*.json"))
        if not found:
            log.warning("No mapping to NIH patients in %s: patients may cross splits. Get %s", self.folder, MAPPING)
            return None
        try:
            entries = json.loads(found[0].read_text(encoding="utf-8"))
            images = {str(entry["subset_img_id"]): str(entry["img_id"]) for entry in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"Not RSNA's mapping to NIH images: {found[0]}\n{error!r}\nGet {MAPPING}") from error
        patients = pd.Series(ids, dtype="str").map(images).str.partition("_")[0]
        unknown = patients.isna().to_numpy()
        if unknown.any():
            log.warning("%d of %d images are not in %s: each is its own patient", unknown.sum(), len(ids), found[0])
        return np.where(unknown, ids, as_text(patients.fillna("").to_numpy()))


def _one_row_per_image(path: Path, column: str, allowed: list[str]) -> "pd.DataFrame":
    """``patientId`` and a column, which must be the same in all rows of an image.

    Raises:
        UserError: it is not, or has another value than those allowed.
    """
    frame = read_table(path)
    require_columns(frame, ["patientId", column], path)
    refuse(~frame[column].isin(allowed).to_numpy(), frame[column], column, path, ", ".join(allowed))
    frame = frame[["patientId", column]].drop_duplicates(ignore_index=True)
    twice = frame["patientId"].duplicated().to_numpy()
    if twice.any():
        raise UserError(f"Image {frame['patientId'][int(twice.argmax())]} has two values of {column!r}\nin {path}")
    return frame
