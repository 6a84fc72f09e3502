"""ISIC 2020: melanoma or not."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns
from transfusion_cli.datasets.families.skin_images import SkinImagesDataModule
from transfusion_cli.datasets.families.skin_tables import find_table, plain_names
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

TABLES = ("ISIC_2020_Training_GroundTruth", "ISIC_2020_Training_GroundTruth_v2", "train")
DUPLICATES = "ISIC_2020_Training_Duplicates"
TRAIN = ("jpeg/train", "train", "ISIC_2020_Training_Input")
TEST = ("jpeg/test", "test", "ISIC_2020_Test_Input")
"""Folders of images; on Kaggle ``train`` and ``test`` hold DICOM files of the JPEG files in ``jpeg``."""


class ISIC2020DataModule(SkinImagesDataModule):
    """ISIC 2020 challenge: dermoscopic images of skin lesions, melanoma or not.

    Source: https://challenge.isic-archive.com/data/#2020 (training JPEG, ground truth, list of duplicates; test JPEG),
        or https://www.kaggle.com/c/siim-isic-melanoma-classification
    Licence: CC BY-NC 4.0
    Layout: train/*.jpg, ISIC_2020_Training_GroundTruth.csv (or ..._v2.csv), ISIC_2020_Training_Duplicates.csv and
        optionally ISIC_2020_Test_Input/*.jpg; on Kaggle jpeg/{train,test}/*.jpg and train.csv
    Group: patient, from patient_id
    Classes: benign, melanoma
    Counts: 33,126 images of 2,056 patients, 584 of them melanoma; 425 of the images are duplicates; 10,982 for the test
    Cite: Rotemberg et al. 2021, doi:10.1038/s41597-021-00815-z

    Test images have no public labels: they are for prediction (``predict_split: predict``), and the test is held out by
    patient. Of each pair in the published list of duplicates the second image, ``image_name_2``, is left out. The
    metric of the challenge is the AUROC.

    Args:
        kwargs: as for ``MedicalDataModule``; and ``test_fraction``, the share of the patients held out for the test.
    """

    target: Target = "binary"
    landmarks = tuple(f"{table}.csv" for table in TABLES)
    metadata = TABLES
    class_names = ["benign", "melanoma"]

    @property
    def published(self) -> dict[str, int]:
        """With or without the duplicates."""
        if find_table(self.folder, DUPLICATES):
            return {"train+val+test": 33126 - 425}
        return {"train+val+test": 33126, "patients": 2056, "class:melanoma": 584}

    def parts(self) -> Iterator["pd.DataFrame"]:
        """The training images without their duplicates, and the test images."""
        path = next(path for name in TABLES if (path := find_table(self.folder, name)))
        frame = read_table(path)
        require_columns(frame, ["image_name", "patient_id", "target"], path)
        targets = numbers(frame["target"])
        refuse(~np.isin(targets, (0, 1)), frame["target"], "target", path, "0 (benign), 1 (melanoma)")
        patients = frame["patient_id"]
        refuse(patients.isna().to_numpy(), patients, "patient_id", path, "a patient in every row")
        names = plain_names(frame["image_name"])
        refuse(names.duplicated().to_numpy(), names, "image_name", path, "each image once")
        frame = frame[[]].assign(name=names, target=targets, group=patients, domain=None)
        yield self.with_files(frame[~self._duplicates(frame["name"])], TRAIN, "train", path)
        yield self.unlabelled(TEST)

    def _duplicates(self, names: "pd.Series[str]") -> np.ndarray:
        path = find_table(self.folder, DUPLICATES)
        if path is None:
            log.warning("No %s.csv in %s: 425 images are in the data twice", DUPLICATES, self.folder)
            return np.zeros(len(names), dtype=bool)
        pairs = read_table(path)
        require_columns(pairs, ["image_name_2"], path)
        return names.isin(plain_names(pairs["image_name_2"])).to_numpy()
