"""What data sets share whose layout lists cases: of volumes, or of images."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from transfusion_cli.data.layout.cases import ListedCase, case_table, find_copies, require_unique
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.targets import MaskTarget


class ListedCasesDataModule(MaskDataModule):
    """Cases with masks, one by one.

    A subclass lists its ``cases`` and says what their masks hold, in ``named``; and ``patients_of``, where the names of
    cases tell.

    Args:
        labels: names of the classes with the values that mask files have for them, ``{liver: 1, tumour: 2}``; lists of
            values are regions, which may overlap, ``{liver: [1, 2], tumour: [2]}``. Values of ``background`` are no
            class, those of ``ignore`` count nowhere. Null takes what the data say.
        test_fraction: share of the patients held out for the test where the data have none with masks; 0 for none.
        kwargs: as for ``MaskDataModule``.
    """

    def __init__(
        self, labels: dict[str, int | list[int]] | None = None, test_fraction: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_test_fraction(test_fraction, ends=(0,))
        self.test_fraction = test_fraction
        self._given = None if labels is None else MaskLabels.of(labels, "--data.labels")

    # What a subclass says.

    @property
    @abstractmethod
    def named(self) -> MaskLabels:
        """Classes and values as the data have them."""

    @property
    @abstractmethod
    def cases(self) -> list[ListedCase]:
        """All cases in their splits; those without one are drawn from ``train``."""

    def patients_of(self, names: np.ndarray) -> np.ndarray | None:
        """Patient of each case (N,) by its name, or None for what the cases say themselves."""
        return None

    def strata_of(self, table: SampleTable) -> np.ndarray | None:
        """What draws are stratified by, bool (N, K); None for nothing."""
        return None

    # What follows from it.

    @cached_property
    def mask_labels(self) -> MaskLabels:
        """Classes or regions, and the values of files."""
        return self._given or self.named

    @property
    def target(self) -> MaskTarget:  # type: ignore[override]
        """``regions`` where the labels are lists, else ``mask``."""
        return self.mask_labels.target

    @property
    def class_names(self) -> list[str]:
        """Of the classes or regions."""
        return self.mask_labels.names

    @property
    def regions(self) -> list[list[int]] | None:
        """Labels in each region."""
        return self.mask_labels.regions

    def load_samples(self) -> SampleTable:
        """List the cases; draw the splits that the data do not have."""
        cases = self.cases
        assert self.folder is not None
        require_unique(cases, self.folder)
        table = case_table(cases)
        patients = self.patients_of(table.ids)
        table.patients = table.patients if patients is None else patients
        table.source_labels = self.strata_of(table)
        find_copies(table, self.folder)
        self.hold_out_missing(table, self.test_fraction)
        return table
