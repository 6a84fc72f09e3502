"""Camelyon17 as WILDS publishes it: patches of lymph nodes from five hospitals."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tables import read_table, refuse, require_columns
from transfusion_cli.data.protocols import check_literal, thin_out
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("patient", "node", "x_coord", "y_coord", "tumor", "center", "split")

HOSPITALS = (59_436, 34_904, 85_054, 129_838, 146_722)
"""Published patches of each hospital."""

VALIDATION_HOSPITAL, TEST_HOSPITAL = 1, 2
"""Of WILDS; the other three are for training."""

ID_VALIDATION = 1
"""Number in the column ``split`` of the tenth of the patches that is not trained on."""

PATIENTS_PER_HOSPITAL = 20
"""Of the challenge, numbered through; most have no patch here."""

SMALL: dict[Split, int] = {"train": 6400, "val": 960}
"""Images of Kanavati & Tsuneki's small variant, 100 and 15 batches of 64; the test stays whole."""


class Camelyon17DataModule(ImageFilesDataModule):
    """Camelyon17 (WILDS): lymph node patches of 96 pixels from five hospitals, tumour in their middle or not.

    Source: https://wilds.stanford.edu/datasets/#camelyon17 (camelyon17_v1.0, 10.7 GB packed)
    Licence: CC0 1.0
    Layout: metadata.csv and patches/patient_PPP_node_N/patch_patient_PPP_node_N_x_X_y_Y.png,
        in it or in camelyon17_v1.0/
    Group: patient, from the metadata
    Classes: normal, tumour (any tumour in the central 32 x 32)
    Counts: 455,954 of 43 patients: 302,436 for training (hospitals 0, 3, 4), 34,904 for validation (hospital 1), 85,054
        for the test (hospital 2); 33,560 more of hospitals 0, 3 and 4 for validation on the same hospitals
    Cite: Koh et al. 2021, arXiv:2012.07421; Bandi et al. 2018, doi:10.1109/TMI.2018.2867350

    Results come for each hospital as well. The column ``split`` alone does not tell the official splits: it marks the
    patches of all hospitals as if they were for training. ``val_fraction`` has no effect, ``split_seed`` only on which
    images ``small`` and the protocol leave out.

    Args:
        validation: ``ood`` for hospital 1, or ``id`` for WILDS' patches from the hospitals, patients and slides of
            training, which look better than any new patient would.
        protocol: ``official``, or ``partial_transfusion`` (Kanavati & Tsuneki 2021): hospital 4 for training, half of
            hospital 1 for validation, hospitals 0, 2 and 3 for the test.
        small: train on 6,400 images and validate on 960 (Kanavati & Tsuneki 2021); the test set stays whole.
        literal: with ``partial_transfusion``: no effect, nothing leaks in these splits.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("patches/patient_*_node_*",)
    target: Target = "binary"
    class_names = ["normal", "tumour"]
    in_chans = 3
    default_augmentation = "any_side_colour"

    def __init__(
        self,
        validation: Literal["ood", "id"] = "ood",
        protocol: Literal["official", "partial_transfusion"] = "official",
        small: bool = False,
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        if validation == "id" and protocol != "official":
            raise UserError(f"validation id belongs to the official splits\nnot to protocol {protocol}: leave it out")
        self.validation, self.protocol, self.small = validation, protocol, small
        if validation == "id":
            self.known_leak = (
                "validation id: as in WILDS (Koh et al. 2021) these patches are from the slides of training"
            )

    @property
    def published(self) -> dict[str, int]:
        """Of WILDS; of the protocol from the paper's code."""
        if self.protocol == "official":
            validation = 33_560 if self.validation == "id" else HOSPITALS[VALIDATION_HOSPITAL]
            counts = {"train": 302_436, "val": validation, "test": HOSPITALS[TEST_HOSPITAL]}
        else:
            test = HOSPITALS[0] + HOSPITALS[2] + HOSPITALS[3]
            counts = {"train": HOSPITALS[4], "val": HOSPITALS[1] // 2, "test": test}
        return counts | {str(split): size for split, size in SMALL.items()} if self.small else counts

    @cached_property
    def folder(self) -> Path:
        """As for the others; but WILDS' unlabelled patches may lie beside ours, in the same layout and named first."""
        ours = None if self.root is None else self.root / "camelyon17_v1.0"
        return ours if ours is not None and ours.is_dir() else super().folder

    def load_samples(self) -> SampleTable:
        """Read the metadata; file names follow from them."""
        path = self.folder / "metadata.csv"
        numbers = _whole_numbers(read_table(path), COLUMNS, path)
        patient, hospital, tumour = (numbers[name].to_numpy() for name in ("patient", "center", "tumor"))
        refuse(~np.isin(tumour, (0, 1)), numbers["tumor"], "tumor", path, "0, 1")
        wrong = hospital != patient // PATIENTS_PER_HOSPITAL
        refuse(wrong, numbers["center"], "center", path, f"the patient's number divided by {PATIENTS_PER_HOSPITAL}")
        text = numbers.astype("str")
        patients = text["patient"].str.zfill(3)  # zeros that reading as a number, here or before, has lost
        stem = "patient_" + patients + "_node_" + text["node"]
        files = "patches/" + stem + "/patch_" + stem + "_x_" + text["x_coord"] + "_y_" + text["y_coord"] + ".png"
        ids = as_text(files.to_numpy())
        table = SampleTable(
            ids=ids,
            targets=tumour.astype(np.float32)[:, None],
            split=self._splits(hospital, numbers["split"].to_numpy()),
            patients=as_text(patients.to_numpy()),
            paths=ids,
            domains=as_text(("hospital " + text["center"]).to_numpy()),
        )
        if self.protocol == "partial_transfusion":
            thin_out(table, {"val": len(table.rows("val")) // 2}, self.split_seed)
        if self.small:
            thin_out(table, SMALL, self.split_seed)
        return table

    def _splits(self, hospital: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Split of each patch, empty for none, from its hospital and the number in the column ``split``."""
        if self.protocol == "partial_transfusion":
            return np.select([hospital == 4, hospital == 1], ["train", "val"], "test")
        held_out, elsewhere = given == ID_VALIDATION, hospital == VALIDATION_HOSPITAL
        val = held_out & ~elsewhere if self.validation == "id" else elsewhere
        return np.select([hospital == TEST_HOSPITAL, val, held_out | elsewhere], ["test", "val", ""], "train")


def _whole_numbers(frame: "pd.DataFrame", columns: tuple[str, ...], path: Path) -> "pd.DataFrame":
    """The columns as int64; ``004`` is 4."""
    import pandas as pd

    require_columns(frame, columns, path)
    numbers: pd.DataFrame = frame[list(columns)].apply(pd.to_numeric, errors="coerce")
    for column in columns:
        refuse(~(numbers[column].to_numpy() % 1 == 0), frame[column], column, path, "whole numbers")
    return numbers.astype(np.int64)
