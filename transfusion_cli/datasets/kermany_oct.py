"""Kermany's OCT images of the retina."""

import logging
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.image_index import patients_from_names
from transfusion_cli.data.protocols import check_literal, deal_images, thin_out
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.datasets.families.borders import TrimBorders
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

CLASSES = ["CNV", "DME", "DRUSEN", "NORMAL"]
SMALL: dict[Split, int] = {"train": 3200, "val": 480}
"""Images that Kanavati & Tsuneki trained and validated on: 100 and 15 batches of 32."""

_NUMBER = re.compile(r"-(\d+)-")
"""``1016042`` of CNV-1016042-1.jpeg; other names stand for themselves."""


class KermanyOCTDataModule(ImageFilesDataModule):
    """Kermany OCT: retinal B-scans with choroidal neovascularisation, macular oedema, drusen, or normal.

    Source: https://data.mendeley.com/datasets/rscbjbr9sj (version 2 or 3),
        or https://www.kaggle.com/datasets/paultimothymooney/kermany2018 (version 2)
    Licence: CC BY 4.0
    Layout: OCT2017/{train,val,test}/{CNV,DME,DRUSEN,NORMAL}/*.jpeg (version 2)
        or CellData/OCT/{train,test}/{CNV,DME,DRUSEN,NORMAL}/*.jpeg (version 3)
    Group: patient, the number in the file name whatever its class
    Classes: CNV, DME, DRUSEN, NORMAL
    Counts: version 2 has 84,484 images, 968 of them for the test; version 3 has 109,309, 1,000 for the test
    Cite: Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010

    The versions differ in images and in the test set: their results do not compare. The 32 images of version 2's
    ``val`` folder are too few to measure anything: they join the training images, from which validation patients are
    drawn. A number stands for one patient in all classes and folders (DRUSEN-1001666-1 and NORMAL-1001666-1), so
    training images whose number is found in the test set too are left out, and the log says how many. Splits by image
    have been seen to raise the accuracy on OCT sets by 5 to 30 % (Tampu et al. 2022).

    Args:
        version: version of the data, 2 or 3; null tells it from ``val/``, which version 2 alone has, and the
            folder's name.
        trim_borders: cut off white margins, which many of the images have, before resizing.
        small: train on 3,200 images and validate on 480 (Kanavati & Tsuneki 2021); the test set stays whole.
        protocol: ``official``, or ``partial_transfusion`` (Kanavati & Tsuneki 2021): ``small``, the validation images
            from a fifth of the training patients.
        literal: with ``partial_transfusion``: a fifth of the training images instead, whatever patients they belong
            to, and patients of the test set stay in training, as in the paper's code.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("train/CNV",)
    target: Target = "multiclass"
    class_names = CLASSES
    in_chans = 1
    default_augmentation = "mirror"

    def __init__(
        self,
        version: Literal[2, 3] | None = None,
        trim_borders: bool = False,
        small: bool = False,
        protocol: Literal["official", "partial_transfusion"] = "official",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        self.version, self.trim_borders = version, trim_borders
        self.small, self.protocol, self.literal = small, protocol, literal
        if literal:
            self.known_leak = "literal: validation is drawn by image, and patients of the test set stay in training"

    @property
    def published(self) -> dict[str, int]:
        """Of the version; training images are fewer by those whose patients are in the test set."""
        if self.release == 3:
            return {"images": 109309, "test": 1000}
        classes = {"class:CNV": 37455, "class:DME": 11598, "class:DRUSEN": 8866, "class:NORMAL": 26565}
        return {"images": 84484, "test": 968} | classes

    @cached_property
    def release(self) -> int:
        """Version of the data found, 2 or 3.

        Raises:
            UserError: another one was asked for, or none and it cannot be told.
        """
        has_val = (self.folder / "val").is_dir()
        told = 2 if has_val else 3 if self.folder.resolve().name.upper() == "OCT" else None
        release = self.version or told
        if release is None:
            raise UserError(
                f"Cannot tell whether this is version 2 without its val/ or version 3\nin {self.folder}\n"
                "Add --data.version 2 (968 test images) or --data.version 3 (1,000)"
            )
        if told is not None and release != told:
            raise UserError(
                f"Version {release} was asked for, but this is version {told} ({'with' if has_val else 'no'} val/)\n"
                f"in {self.folder}\nTry --data.version {told} or another --data.root"
            )
        return release

    def load_samples(self) -> SampleTable:
        """List the files; class and patient stand in their names."""
        log.info("Kermany OCT, version %d, in %s", self.release, self.folder)
        paths = self.class_files(CLASSES)
        parts, labels, names = (as_text(column) for column in zip(*(path.split("/", 2) for path in paths), strict=True))
        split = np.where(parts == "test", "test", "train").astype("<U5")
        patients = patients_from_names(names, _NUMBER)
        if not self.literal:
            _leave_out_test_patients(patients, split)
        files = as_text(paths)
        table = SampleTable(files, np.searchsorted(CLASSES, labels), split, patients, files)
        if self.literal:
            deal_images(table, {"val": 0.2}, self.split_seed)
        else:
            self.hold_out_patients(table, self.val_fraction if self.protocol == "official" else 0.2, "val")
        if self.small or self.protocol == "partial_transfusion":
            thin_out(table, SMALL, self.split_seed)
        return table

    def file_reader(self, folder: Path, paths: np.ndarray, size: tuple[int, ...] | None) -> FileReader:
        """Read files, without their margins if so configured."""
        if size is None or not self.trim_borders:
            return super().file_reader(folder, paths, size)
        # Decoded whole: how much is left of an image is not known before.
        return FileReader(folder, paths, self.in_chans, process=TrimBorders())


def _leave_out_test_patients(patients: np.ndarray, split: np.ndarray) -> None:
    """Take the training images of patients of the test set out of every split, in place."""
    training = split == "train"
    shared = training & np.isin(patients, patients[split == "test"])
    split[shared] = ""
    if shared.any():
        log.warning(
            "%d of %d training images are left out: their %d patients are in the test set too",
            shared.sum(),
            training.sum(),
            len(np.unique(patients[shared])),
        )
