"""The user's own volumes by a datalist of MONAI's."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.cases import ListedCase, warn_of_patients
from transfusion_cli.data.layout.datalist import Datalist, read_datalist
from transfusion_cli.data.layout.image_index import patients_from_pattern
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule
from transfusion_cli.errors import UserError


class DatalistDataModule(VolumeCasesDataModule):
    r"""Your own volumes, listed in a file of JSON as MONAI reads it.

    Source: your own disk
    Layout: {"training": [{"image": FILE or [FILES], "label": FILE, "fold": 0}], "validation": [...], "test": [...]}
    Group: patient, from "patient" or "subject" of the entries or from the paths

    Paths start in the folder of the list, or in ``root``. Entries of the test without a ``label`` are for ``predict``.

    Args:
        datalist: the file, by itself or relative to ``root``.
        patient_pattern: regular expression that finds the patient in the path of the first image, for example
            ``sub-(\d+)``; null takes what the entries say, or else every case for itself.
        fold: training entries of this ``fold`` are held out; null draws validation cases by patient.
        held_out: what the entries of the fold are for: ``val``, or ``test``, with validation cases drawn from those for
            training.
        kwargs: as for ``VolumeCasesDataModule``.
    """

    def __init__(
        self,
        datalist: str = "datalist.json",
        patient_pattern: str | None = None,
        fold: int | None = None,
        held_out: Literal["val", "test"] = "val",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.datalist = Path(datalist).expanduser()
        self.patient_pattern, self.fold, self.held_out = patient_pattern, fold, held_out

    @cached_property
    def file(self) -> Path:
        """The list."""
        below_root = None if self.root is None else self.root / self.datalist
        return below_root if below_root is not None and below_root.is_file() else self.datalist

    @property
    def folder(self) -> Path:
        """``root``, or without it the folder of the list."""
        return self.root or self.file.parent

    @cached_property
    def data(self) -> Datalist:
        """What the list says."""
        return read_datalist(self.file)

    @property
    def named(self) -> MaskLabels:
        """Those of the list, which need not have any.

        Raises:
            UserError: it has none.
        """
        if self.data.labels is None:
            raise UserError(f"No labels in {self.file}\nName the classes: --data.labels '{{liver: 1, tumour: 2}}'")
        return MaskLabels.of(self.data.labels, self.file)

    @property
    def channels(self) -> list[str]:
        """Those of the list, or else as many as a case has files."""
        number = max(len(case.images) for case in self.data.cases)
        return self.data.channels or ["unknown"] * number

    @property
    def cases(self) -> list[ListedCase]:
        """All that there are, split by the fold.

        Raises:
            UserError: no entry is of that fold.
        """
        cases, fold = self.data.cases, self.fold
        if fold is None:
            return cases
        folds = sorted({case.fold for case in cases if case.split == "train" and case.fold is not None})
        if fold not in folds:
            raise UserError(
                f"No entry of fold {fold} in {self.file}\nIt has {folds or 'no folds: leave --data.fold out'}"
            )
        return [
            replace(case, split=self.held_out) if case.split == "train" and case.fold == fold else case
            for case in cases
        ]

    def patients_of(self, names: np.ndarray) -> np.ndarray | None:
        """By the pattern, or as the entries say."""
        if self.patient_pattern is not None:
            return patients_from_pattern(names, self.patient_pattern)
        if not all(case.patient for case in self.data.cases):
            warn_of_patients(names, self.file)
        return None
