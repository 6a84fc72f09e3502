"""What data modules share whose files lie as nnU-Net has them."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.cases import ListedCase, warn_of_patients
from transfusion_cli.data.layout.image_index import patients_from_pattern
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.data.layout.nnunet import NNUNetData, read_nnunet, take_fold
from transfusion_cli.datasets.families.cases import ListedCasesDataModule
from transfusion_cli.errors import UserError


class NNUNetLayout(ListedCasesDataModule):
    r"""Cases in the raw layout of nnU-Net, version 2.

    Args:
        patient_pattern: regular expression that finds the patient in the name of a case, for example ``patient(\d+)``;
            null takes every case for itself.
        fold: number of a fold of ``splits_final.json``, from 0; null draws validation cases by patient.
        held_out: what the ``val`` cases of the fold are for: ``val``, or ``test``, for numbers to hold against
            nnU-Net's cross-validation, with validation cases drawn from those for training.
        splits: the file with the folds; null takes ``splits_final.json`` beside ``dataset.json``. nnU-Net keeps it in
            its folder of preprocessed data.
        kwargs: as for ``ListedCasesDataModule``.
    """

    def __init__(
        self,
        patient_pattern: str | None = None,
        fold: int | None = None,
        held_out: Literal["val", "test"] = "val",
        splits: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.patient_pattern, self.fold, self.held_out = patient_pattern, fold, held_out
        self.splits = None if splits is None else Path(splits).expanduser()

    @cached_property
    def folder(self) -> Path:
        """``root``, or the one folder below it with a ``dataset.json``.

        Raises:
            UserError: there is none, or more than one.
        """
        if self.root is None:
            raise UserError("No data: give --data.root FOLDER, with dataset.json, imagesTr and labelsTr")
        if (self.root / "dataset.json").is_file():
            return self.root
        found = sorted(path.parent for path in self.root.glob("*/dataset.json"))
        if len(found) == 1:
            return found[0]
        if not found:
            raise UserError(f"No dataset.json in {self.root}\nnnU-Net's raw layout has it beside imagesTr and labelsTr")
        names = ", ".join(path.name for path in found[:5])
        raise UserError(f"{len(found)} data sets in {self.root}: {names}\nTake one: --data.root {found[0]}")

    @cached_property
    def data(self) -> NNUNetData:
        """What ``dataset.json`` and the folders say."""
        return read_nnunet(self.folder)

    @property
    def named(self) -> MaskLabels:
        """As in ``dataset.json``."""
        return self.data.labels

    @property
    def cases(self) -> list[ListedCase]:
        """All that there are, split by the fold."""
        if self.fold is None:
            return self.data.cases
        splits = self.splits or self.folder / "splits_final.json"
        return take_fold(self.data.cases, splits, self.fold, self.held_out)

    def patients_of(self, names: np.ndarray) -> np.ndarray | None:
        """By the pattern."""
        if self.patient_pattern is None:
            warn_of_patients(names, self.folder)
            return None
        return patients_from_pattern(names, self.patient_pattern, "name")
