"""NCT-CRC-HE-100K and CRC-VAL-HE-7K."""

import logging
from typing import Any

import numpy as np

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

CLASSES = ["ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"]
"""Adipose, background, debris, lymphocytes, mucus, smooth muscle, normal mucosa, cancer-associated stroma, tumour."""


class NCTCRCDataModule(OpenFilesDataModule):
    """NCT-CRC-HE colorectal histology: tiles of nine kinds of tissue; the test tiles are from other patients.

    Source: https://zenodo.org/records/1214456 (NCT-CRC-HE-100K.zip or NCT-CRC-HE-100K-NONORM.zip, CRC-VAL-HE-7K.zip)
    Licence: CC BY 4.0
    Layout: NCT-CRC-HE-100K/{ADI,BACK,...,TUM}/*.tif and CRC-VAL-HE-7K/{ADI,BACK,...,TUM}/*.tif side by side
    Group: none is published; CRC-VAL-HE-7K is from 50 patients of whom NCT-CRC-HE-100K has no tile
    Classes: ADI, BACK, DEB, LYM, MUC, MUS, NORM, STR, TUM
    Counts: 100,000 tiles of 224 x 224 pixels for training and validation, 7,180 for the test
    Cite: Kather et al. 2019, doi:10.1371/journal.pmed.1002730

    No tile names its patient. So validation tiles, drawn from NCT-CRC-HE-100K, come from slides that are trained on:
    their scores are too good, fit to compare epochs but not to be reported. Test scores are of other patients; for
    want of patients their intervals are over tiles, hence too narrow. Classes also differ in colour and in JPEG
    artefacts (Ignatov & Malivenko 2024, arXiv:2409.11546), which a network may learn in place of tissue.

    Args:
        normalised: train on the colour-normalised tiles (NCT-CRC-HE-100K); false trains on NCT-CRC-HE-100K-NONORM.
            The test tiles exist in one version only.
        kwargs: as for ``OpenFilesDataModule`` and ``MedicalDataModule``.
    """

    landmarks = ("NCT-CRC-HE-100K*/TUM", "NCT-CRC-HE-100K*/*/TUM")  # unpacked here, or each into a folder of its name
    target: Target = "multiclass"
    class_names = CLASSES
    in_chans = 3
    default_augmentation = "any_side_colour"
    published = {"train+val": 100_000, "test": 7180}

    def __init__(self, normalised: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalised = normalised

    @property
    def archive(self) -> str:
        """Tiles of both sets, colour-normalised or not."""
        return "nct_crc" if self.normalised else "nct_crc_nonorm"

    def load_samples(self) -> SampleTable:
        """List the files of both sets; the class is the name of the folder that a file is in."""
        trained = self._files("NCT-CRC-HE-100K" if self.normalised else "NCT-CRC-HE-100K-NONORM")
        tested = self._files("CRC-VAL-HE-7K")
        files = as_text(trained + tested)
        labels, names = (as_text(column) for column in zip(*(path.split("/")[-2:] for path in files), strict=True))
        targets = np.searchsorted(CLASSES, labels)  # in alphabetical order
        split = np.repeat(["train", "test"], [len(trained), len(tested)])
        # A tile is the same one in either version of the data, and however deep the archives unpack.
        ids = as_text(map("/".join, zip(split, labels, names, strict=True)))
        table = SampleTable(ids, targets.astype(np.int64), split, paths=files)
        self.hold_out_patients(table, self.val_fraction, "val")
        log.warning(
            "No tile of NCT-CRC-HE-100K names its patient: validation tiles are of patients trained on, so validation "
            "scores are too good. Test tiles are of other patients."
        )
        return table

    def _files(self, part: str) -> list[str]:
        found = [f"{part}/{name}" for name in image_files(self.folder / part)]
        found = [path for path in found if path.split("/")[-2] in CLASSES]
        absent = sorted(set(CLASSES) - {path.split("/")[-2] for path in found})
        if absent:
            raise self.absent(f"no images of {', '.join(absent)} in {self.folder / part}")
        return found
