"""Malaria cells of the National Library of Medicine."""

import logging
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.protocols import check_literal, deal_images
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

CLASSES = ["Uninfected", "Parasitized"]
MAPS = "https://data.lhncbc.nlm.nih.gov/public/Malaria/"

_PATIENT = re.compile(r"C\d+")
_CELL = re.compile(r"_cell_\d+\.\w+$")
_CELL_NAME = re.compile(r"[^\s,'\"\[\]]+\.png")


class MalariaDataModule(OpenFilesDataModule):
    """NLM malaria: single red blood cells from thin blood smears, infected with P. falciparum or not.

    Source: https://data.lhncbc.nlm.nih.gov/public/Malaria/ (cell_images.zip and both patientid_cellmapping_*.csv)
    Licence: public domain (United States government)
    Layout: cell_images/{Parasitized,Uninfected}/*.png and, beside or above them, the two CSV files
    Group: patient, from the CSV files, else from the file name, else the photograph
    Classes: uninfected, parasitized
    Counts: 27,558 cells, 13,779 of each class, of 150 infected and 50 healthy patients
    Cite: Rajaraman et al. 2018, doi:10.7717/peerj.4568

    There is no official split: test and validation patients are drawn. Names such as C33P1thinF_IMG_..._cell_179.png
    begin with the patient, who is told by them where the maps are missing. Patient C47 stands under two ids in the
    maps, since the slide was photographed through two microscopes; the number after the C holds both together.
    Infected patients have uninfected cells too. Parasitized is the positive class here and 0 in TensorFlow Datasets,
    which swaps sensitivity and specificity and leaves the AUROC as it is.

    Args:
        test_fraction: share of the patients held out for the test.
        fold: which of ``folds`` is the test split, counted from 0, for cross-validation by patient; null draws
            ``test_fraction``.
        folds: number of folds.
        protocol: ``official``, or ``partial_transfusion`` (Kanavati & Tsuneki 2021): 70 % of the cells for training
            and 15 % each for validation and test, whole patients.
        literal: with ``partial_transfusion``: cell by cell, so that patients are in all three splits, as in the paper.
        kwargs: as for ``OpenFilesDataModule`` and ``MedicalDataModule``.
    """

    landmarks = ("Parasitized",)
    target: Target = "binary"
    class_names = ["uninfected", "parasitized"]
    in_chans = 3
    default_augmentation = "any_side_colour"
    archive = "malaria"
    published = {"images": 27558, "patients": 200, "class:uninfected": 13779, "class:parasitized": 13779}

    def __init__(
        self,
        test_fraction: float = 0.2,
        fold: int | None = None,
        folds: int = 5,
        protocol: Literal["official", "partial_transfusion"] = "official",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        check_test_fraction(test_fraction)
        if folds < 2 or not 0 <= (fold or 0) < folds:
            raise UserError(f"Fold {fold} of {folds}: folds are at least 2 and counted from 0\nTry --data.fold 0")
        if fold is not None and protocol != "official":
            raise UserError(f"Protocol {protocol} has no folds\nLeave out --data.fold or --data.protocol")
        self.test_fraction, self.fold, self.folds = test_fraction, fold, folds
        self.protocol, self.literal = protocol, literal
        if literal:
            self.known_leak = "literal: the cells of a patient are in training, validation and test"

    def load_samples(self) -> SampleTable:
        """List the files of both classes and find their patients."""
        paths = as_text(f"{label}/{name}" for label in CLASSES for name in image_files(self.folder / label))
        targets = np.char.startswith(paths, "Parasitized/").astype(np.float32)[:, None]
        if len(np.unique(targets)) < 2:
            raise self.absent(f"no images in {self.folder}/Parasitized or Uninfected")
        table = SampleTable(paths, targets, np.full(len(paths), "train"), self._patients(paths), paths)
        if self.protocol == "partial_transfusion":
            self._split_as_published(table)
            return table
        if self.fold is not None:
            table.split[self.deal_folds(table, self.folds) == self.fold] = "test"
        else:
            self.hold_out_patients(table, self.test_fraction, "test")
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _split_as_published(self, table: SampleTable) -> None:
        """Cut as TensorFlow Datasets does at 70 % and 85 % of the cells."""
        number = len(table)
        test = number - round(0.85 * number)
        val = number - test - round(0.7 * number)
        if self.literal:
            deal_images(table, {"test": test / number, "val": val / number}, self.split_seed)
        else:
            self.hold_out_number(table, test, "test")
            self.hold_out_number(table, val, "val")

    def _patients(self, paths: np.ndarray) -> np.ndarray:
        """Patient of each file: by the maps where they have it, else by its name."""
        maps = [path for label in CLASSES for path in self._map(label)]
        mapped: dict[str, str] = {}
        for path in maps:
            mapped |= _read_map(path)
        names = [str(path).rpartition("/")[2] for path in paths]
        unmapped = [name for name in names if name not in mapped]
        if maps and unmapped:
            log.warning("%d of %d cells are not in %s, for example %s", len(unmapped), len(names), maps[0], unmapped[0])
        unknown = [name for name in unmapped if not _PATIENT.match(name)]
        if unknown:
            log.warning(
                "%d of %d cells have no known patient, for example %s: they are held together by photograph, and a "
                "patient may cross splits by several photographs. Get the two patient maps from %s and put them beside "
                "the images.",
                len(unknown),
                len(names),
                unknown[0],
                MAPS,
            )
        return as_text(_patient(mapped.get(name, name)) for name in names)

    def _map(self, label: str) -> list[Path]:
        """The map of one class, where there is one: with the images, above them, or in the root."""
        assert self.root is not None
        places = [place / f"patientid_cellmapping_{label.lower()}.csv" for place in (self.folder, self.folder.parent)]
        places.append(self.root / places[0].name)
        return [place for place in places if place.is_file()][:1]


def _patient(name: str) -> str:
    """``C47`` of a cell's name or a map's id; for other names the photograph, all that stands before ``_cell_``."""
    found = _PATIENT.match(name)
    return found[0] if found else _CELL.sub("", name)


def _read_map(path: Path) -> dict[str, str]:
    """Cell to patient id, of a map of the NLM.

    It has no header; a line begins with the patient, and the rest is a list as Python writes it, its commas taken for
    those of the CSV, so that lines differ in length and names stand in one or two kinds of quotes.

    Raises:
        UserError: no line names cells, or a cell belongs to two patients.
    """
    mapped: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        patient, _, cells = line.partition(",")
        patient = patient.strip(" '\"")
        for name in _CELL_NAME.findall(cells):
            if _patient(mapped.setdefault(name, patient)) != _patient(patient):
                raise UserError(f"{name} belongs to two patients, {mapped[name]} and {patient}\nin {path}")
    if not mapped:
        raise UserError(f"No cells in {path}\nIts lines should be a patient and a list of cells.\nGet it from {MAPS}")
    return mapped
