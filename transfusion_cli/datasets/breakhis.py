"""BreaKHis breast tumour histology."""

import logging
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

SUBTYPES = {
    "A": "adenosis",
    "F": "fibroadenoma",
    "PT": "phyllodes_tumor",
    "TA": "tubular_adenoma",
    "DC": "ductal_carcinoma",
    "LC": "lobular_carcinoma",
    "MC": "mucinous_carcinoma",
    "PC": "papillary_carcinoma",
}
"""Code in the file names and name of the folder: four benign tumours, then four malignant ones."""

AMBIGUOUS = "DC-14-13412"
"""Images of patient 14-13412 as ductal carcinoma; others show the same patient's tumour as lobular carcinoma."""

COUNTS = {
    40: {"images": 1995, "class:benign": 625, "class:malignant": 1370},
    100: {"images": 2081, "class:benign": 644, "class:malignant": 1437},
    200: {"images": 2013, "class:benign": 623, "class:malignant": 1390},
    400: {"images": 1820, "class:benign": 588, "class:malignant": 1232},
    None: {"images": 7909, "class:benign": 2480, "class:malignant": 5429},
}
"""Published counts by magnification."""

_NAME = re.compile(
    r"/(?P<tumour>[A-Z]+_(?:B_(?:A|F|PT|TA)|M_(?:DC|LC|MC|PC)))-(?P<year>\d+)-(?P<slide>\d+)(?P<letters>[A-Z]*)"
    r"-(?P<magnification>40|100|200|400)-\d+\.\w+$"
)


class BreaKHisDataModule(ImageFilesDataModule):
    """BreaKHis breast histology: benign or malignant tumour, or eight subtypes, at four magnifications.

    Source: https://web.inf.ufpr.br/vri/databases/breast-cancer-histopathological-database-breakhis/ (BreaKHis_v1.tar.gz
        and the archive of folds)
    Licence: CC BY 4.0
    Layout: BreaKHis_v1/histology_slides/breast/{benign,malignant}/SOB/..., and mkfold/dsfold1.txt to dsfold5.txt for
        the published folds
    Group: patient, YEAR-SLIDE in the file name
    Classes: benign, malignant; or adenosis, fibroadenoma, phyllodes_tumor, tubular_adenoma, ductal_carcinoma,
        lobular_carcinoma, mucinous_carcinoma, papillary_carcinoma
    Counts: 7,909 images of 700 x 460 pixels, 2,480 of them benign, from 82 patients as published (81 names)
    Cite: Spanhol et al. 2016, doi:10.1109/TBME.2015.2496264

    Taken at all magnifications together, results are also given by magnification. Each published fold tests about 30 %
    of the patients. Patient 14-13412 stands on both sides of one of them, as may patients whose slides differ in
    letters: their images are left out of training, and the test stays as published. Some subtypes have but two or three
    patients, so not every split tests every one: run all folds. The published metric, patient recognition rate, counts
    every patient the same (``transfusion_cli.metrics.recognition_rate``).

    Args:
        subtypes: tell eight subtypes apart; false asks for benign or malignant.
        magnification: images of one magnification alone; null takes all four.
        fold: which fold is the test split, from 1; null draws ``test_fraction`` of the patients.
        folds: ``official`` for the five published ones, or how many to deal patients out to.
        test_fraction: share of the patients in the test split without ``fold``.
        merge_lettered: take slides 21998AB and 21998CD for one patient, 21998; false takes every name for a patient
            of its own, as published. What the letters mean is not documented, so true is the safe side.
        drop_ambiguous: leave out the 123 images of patient 14-13412 as ductal carcinoma, whose tumour is lobular in
            others; null does so with ``subtypes``, where they contradict each other. Both are malignant.
        val_fraction: share of the training patients held out for validation; a tenth of so few would show it one or two
            subtypes.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("histology_slides/breast",)
    target: Target = "binary"
    class_names = ["benign", "malignant"]
    in_chans = 3
    default_augmentation = "any_side_colour"

    def __init__(
        self,
        subtypes: bool = False,
        magnification: Literal[40, 100, 200, 400] | None = None,
        fold: int | None = None,
        folds: int | Literal["official"] = "official",
        test_fraction: float = 0.3,
        merge_lettered: bool = True,
        drop_ambiguous: bool | None = None,
        val_fraction: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, **kwargs)
        number = 5 if folds == "official" else folds
        if number < 2 or not 1 <= (1 if fold is None else fold) <= number:
            raise UserError(f"No fold {fold} of {number}\nThere must be 2 folds at least, counted from --data.fold 1")
        check_test_fraction(test_fraction, usual=0.3)
        self.subtypes, self.magnification, self.fold, self.folds = subtypes, magnification, fold, folds
        self.test_fraction, self.merge_lettered = test_fraction, merge_lettered
        self.drop_ambiguous = subtypes if drop_ambiguous is None else drop_ambiguous
        if subtypes:
            self.target, self.class_names = "multiclass", list(SUBTYPES.values())

    @property
    def published(self) -> dict[str, int]:
        """Of the archive; how many ambiguous images there are is known for all magnifications together."""
        patients = {"patients": 70 if self.merge_lettered else 81}
        if self.drop_ambiguous:
            return patients | ({} if self.magnification else {"images": 7786})
        counts = COUNTS[self.magnification]
        return patients | ({"images": counts["images"]} if self.subtypes else counts)

    def load_samples(self) -> SampleTable:
        """List the images; tumour, patient and magnification stand in their names."""
        base = "histology_slides/breast"
        paths = as_text(f"{base}/{name}" for name in image_files(self.folder / base))
        if not len(paths):
            raise self.absent(f"no images in {self.folder / base}")
        tumours, patients, magnifications = self._read_names(paths)
        published = self.fold is not None and self.folds == "official"
        split = self._official_split(paths) if published else np.full(len(paths), "train")
        unused = np.zeros(len(paths), dtype=bool)
        if self.magnification:
            unused |= magnifications != f"{self.magnification}X"
        if self.drop_ambiguous:
            unused |= np.char.find(paths, f"_{AMBIGUOUS}-") >= 0
        codes = np.array([list(SUBTYPES).index(code) for code in tumours], dtype=np.int64)
        targets = codes if self.subtypes else (codes >= 4).astype(np.float32)[:, None]
        domains = None if self.magnification else magnifications
        told = label_matrix(codes)
        table = SampleTable(paths, targets, split, patients, paths, domains, source_labels=told, unused=unused)
        if published:
            _take_out_of_training(table)
        elif self.fold is None:
            self.hold_out_patients(table, self.test_fraction, "test")
        else:
            table.split[self.deal_folds(table, int(self.folds)) == self.fold - 1] = "test"
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _read_names(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Code of the tumour, patient and magnification (``40X``) of each image."""
        import pandas as pd

        told = pd.Series(paths, dtype="str").str.extract(_NAME)
        unread = told["year"].isna().to_numpy()
        if unread.any():
            path = paths[unread][0]
            raise UserError(
                f"The name of {path} tells no patient\nin {self.folder}\nExpected SOB_B_TA-14-4659-40-001.png"
            )
        patients = told["year"] + "-" + told["slide"] + ("" if self.merge_lettered else told["letters"])
        return as_text(told["tumour"].str.split("_").str[-1]), as_text(patients), as_text(told["magnification"] + "X")

    def _official_split(self, paths: np.ndarray) -> np.ndarray:
        """``train`` or ``test`` of each image, from the lines ``name|magnification|fold|train`` of the fold's list."""
        list_file = self._fold_list()
        listed = {}
        for number, line in enumerate(list_file.read_text(encoding="utf-8").splitlines(), start=1):
            fields = [field.strip() for field in line.split("|")]
            if fields == [""]:
                continue
            if len(fields) != 4 or fields[3] not in ("train", "test"):
                raise UserError(f"Cannot read line {number}: {line!r}\nin {list_file}\nExpected NAME.png|40|1|train")
            listed[fields[0]] = fields[3]
        names = [path.rpartition("/")[2] for path in paths.tolist()]
        unknown, missing = sorted(set(names) - set(listed)), sorted(set(listed) - set(names))
        if unknown or missing:
            raise UserError(
                f"{len(unknown)} images are not listed and {len(missing)} listed images are missing, for example "
                f"{(unknown + missing)[0]}\nin {list_file}\nUnpack all images, or --data.folds 5"
            )
        return as_text(listed[name] for name in names)

    def _fold_list(self) -> Path:
        name = f"dsfold{self.fold}.txt"
        places = (self.root or self.folder, self.folder, self.folder.parent)
        found = [file for place in places for file in (place / name, place / "mkfold" / name) if file.is_file()]
        if not found:
            raise UserError(
                f"No {name} in {self.root} or its mkfold/\nUnpack the published folds there, or deal out others: "
                f"--data.folds 5 --data.fold {self.fold}"
            )
        return found[0]


def _take_out_of_training(table: SampleTable) -> None:
    """Leave the training images of patients of the test split out."""
    assert table.patients is not None and table.unused is not None
    tested = np.unique(table.patients[table.split == "test"])
    crossing = (table.split == "train") & np.isin(table.patients, tested)
    table.split[crossing] = ""
    crossing &= ~table.unused
    if crossing.any():
        names = ", ".join(np.unique(table.patients[crossing]))
        log.info("%d training images left out: their patients are in the test, too (%s)", crossing.sum(), names)
