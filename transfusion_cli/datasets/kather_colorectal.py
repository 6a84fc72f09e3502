"""Kather's tiles of colorectal cancer histology."""

import logging
import re
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.protocols import check_literal, deal_images
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

CLASSES = ["TUMOR", "STROMA", "COMPLEX", "LYMPHO", "DEBRIS", "MUCOSA", "ADIPOSE", "EMPTY"]
"""In the order of the numbers before the folders' names."""

PROTOCOL_SHARE = 0.15
"""Share of the images for validation, and for the test, of Kanavati & Tsuneki: 750 of 5,000."""

_SLIDE = re.compile(r"CRC-Prim-(HE-\d\d)(?!\d)")


class KatherColorectalDataModule(OpenFilesDataModule):
    """Kather 2016 colorectal histology: tiles of eight kinds of tissue, split by slide.

    Source: https://zenodo.org/records/53169 (Kather_texture_2016_image_tiles_5000.zip)
    Licence: CC BY 4.0
    Layout: Kather_texture_2016_image_tiles_5000/{01_TUMOR,02_STROMA,...,08_EMPTY}/*.tif
    Group: slide, CRC-Prim-HE-01 to -10, from the tile name
    Classes: TUMOR, STROMA, COMPLEX, LYMPHO, DEBRIS, MUCOSA, ADIPOSE, EMPTY
    Counts: 5,000 tiles of 150 x 150 pixels, 625 of each class, from ten slides
    Cite: Kather et al. 2016, doi:10.1038/srep27988

    No split was published, and tiles of one slide look alike, so whole slides are held out: a fold of them, or one.
    There are ten, so one split says little: run all folds, or each slide in turn. Not every class need be on every
    slide: a split that leaves a class nothing to train on is refused, one that leaves it nothing to test is reported.

    Args:
        fold: which fold is the test split, from 0.
        folds: folds that the slides are dealt out to; 10 tests one slide at a time.
        test_slide: the one slide to test on, ``7`` or ``07``, in place of ``fold``.
        protocol: ``official`` for folds or ``test_slide``; ``partial_transfusion`` (Kanavati & Tsuneki 2021) for 70 %
            of the tiles in training, 15 % in validation, 15 % in the test, as near as whole slides come.
        literal: with ``partial_transfusion``: split tile by tile as in the paper, whatever slide they are from.
        kwargs: as for ``OpenFilesDataModule`` and ``MedicalDataModule``.
    """

    landmarks = ("01_TUMOR",)
    target: Target = "multiclass"
    class_names = CLASSES
    in_chans = 3
    default_augmentation = "any_side_colour"
    archive = "kather_colorectal"
    published = {"images": 5000, "patients": 10} | {f"class:{name}": 625 for name in CLASSES}

    def __init__(
        self,
        fold: int = 0,
        folds: int = 5,
        test_slide: int | str | None = None,
        protocol: Literal["official", "partial_transfusion"] = "official",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        if folds < 2 or not 0 <= fold < folds:
            raise UserError(f"No fold {fold} of {folds}\nThere must be 2 folds at least, counted from --data.fold 0")
        if test_slide is not None and protocol != "official":
            raise UserError(f"test_slide says what to test on, and so does protocol {protocol}\nLeave out one of them")
        self.fold, self.folds, self.test_slide = fold, folds, test_slide
        self.protocol, self.literal = protocol, literal
        if literal:
            self.known_leak = "literal: tiles of every slide are in training, validation and test"

    def load_samples(self) -> SampleTable:
        """List the tiles; the class stands in the folder's name, the slide in the tile's."""
        folders = [f"{number:02d}_{name}" for number, name in enumerate(CLASSES, start=1)]
        paths, targets = [], []
        for label, folder in enumerate(folders):
            found = image_files(self.folder / folder)
            if not found:
                raise self.absent(f"no images in {self.folder / folder}")
            paths += [f"{folder}/{name}" for name in found]
            targets += [label] * len(found)
        files = as_text(paths)
        split = np.full(len(files), "train")
        table = SampleTable(files, np.array(targets, dtype=np.int64), split, as_text(map(_slide, paths)), files)
        if self.literal:
            deal_images(table, {"test": PROTOCOL_SHARE, "val": PROTOCOL_SHARE}, self.split_seed)
        elif self.protocol == "partial_transfusion":
            self.hold_out_number(table, round(PROTOCOL_SHARE * len(table)), "test")
            self.hold_out_number(table, round(PROTOCOL_SHARE * len(table)), "val")
        else:
            table.split[self._test_rows(table)] = "test"
            self.hold_out_patients(table, self.val_fraction, "val")
        _check_classes_of_slides(table)
        return table

    def _test_rows(self, table: SampleTable) -> np.ndarray:
        assert table.patients is not None
        if self.test_slide is None:
            return np.asarray(self.deal_folds(table, self.folds) == self.fold)
        rows = table.patients == f"HE-{str(self.test_slide).zfill(2)}"
        if not rows.any():
            numbers = ", ".join(sorted(name[3:] for name in set(table.patients)))
            raise UserError(f"No tile of slide {self.test_slide}\nin {self.folder}\nSlides there: {numbers}")
        return np.asarray(rows)


def _slide(path: str) -> str:
    """``HE-10`` of ``10647_CRC-Prim-HE-10c.tif_Row_1_Col_1.tif``: letters after the number are parts of the slide."""
    found = _SLIDE.search(path)
    if found is None:
        raise UserError(f"The name of {path} tells no slide\nExpected 1A11_CRC-Prim-HE-07_022.tif_Row_601_Col_151.tif")
    return found[1]


def _check_classes_of_slides(table: SampleTable) -> None:
    """Refuse a split without training tiles of a class, and say which classes cannot be validated or tested."""
    assert table.patients is not None
    for split in ("train", "val", "test"):
        absent = np.setdiff1d(table.targets, table.targets[table.split == split])
        if len(absent) and split == "train":
            where = ", ".join(np.unique(table.patients[table.targets == absent[0]]))
            raise UserError(
                f"This split leaves no training tile of {CLASSES[absent[0]]}, found only on slides {where}\n"
                "all of which are held out\nTry another --data.split_seed, another --data.fold or --data.folds 10"
            )
        if len(absent):
            names = ", ".join(CLASSES[label] for label in absent)
            log.warning("The slides of the %s split have no tile of %s: these have no scores there.", split, names)
