"""The split that a run was trained on, which later commands on that run follow."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.data.splits import split_hash
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

Authority = Literal["run", "data", "data_unchecked"]
"""Who says which sample is in which split, where a run is evaluated or gone on with.

* ``run``: the run's ``split.csv``. Samples that it does not know are left out; where it knows none, the data are others.
* ``data``: the data as they are now. That no test sample was trained on is made sure of.
* ``data_unchecked``: the same, and nothing is made sure of.
"""

TRAINED_ON = ("train", "val")
"""Splits that a run has seen: the second chose its best epoch."""


@dataclass(frozen=True)
class RunSplit:
    """``split.csv`` of a run.

    Args:
        path: the file.
        ids: of the samples (N,).
        patients: of each, or the empty string (N,).
        split: of each, or the empty string where it was left out (N,).
    """

    path: Path
    ids: np.ndarray
    patients: np.ndarray
    split: np.ndarray

    @classmethod
    def read(cls, path: Path) -> RunSplit:
        """Read the file, and see that it is as the run wrote it.

        Raises:
            UserError: it cannot be read, or was changed since.
        """
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [(row["id"], row["patient"], row["split"]) for row in csv.DictReader(file)]
            written = path.with_suffix(".sha256").read_text(encoding="utf-8").strip()
        except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
            raise UserError(f"{path} and its .sha256 cannot be read: {error}\nThey say what the run was trained on.") from None
        columns = [as_text(column) for column in zip(*rows, strict=True)] if rows else [as_text([])] * 3
        own = cls(path, *columns)
        if own.sha256 != written:
            raise UserError(
                f"{path} is not as the run wrote it: its hash is {own.sha256[:12]}, not {written[:12]}.\n"
                "It says what the run was trained on. Put back the file of the run."
            )
        return own

    @property
    def sha256(self) -> str:
        """Hash of which sample is in which split."""
        return split_hash(self.ids, self.split)

    def of(self, table: SampleTable) -> np.ndarray:
        """Row of this file for each row of a table, -1 where there is none: int64 (N,)."""
        order = np.argsort(self.ids, kind="stable")
        if not len(order):
            return np.full(len(table), -1)
        place = np.searchsorted(self.ids, table.ids, sorter=order).clip(max=len(order) - 1)
        found = order[place]
        return np.where(self.ids[found] == table.ids, found, -1)

    def impose(self, table: SampleTable) -> bool:
        """Give each sample of a table the split that it had in the run; say what is new, gone or another patient's.

        Returns:
            Whether the run knows any of them; else nothing was changed.
        """
        rows = self.of(table)
        known = rows >= 0
        if not known.any():
            log.warning("None of these samples is of the run: their own split is used.")
            return False
        given = table.split.copy()
        table.split[:] = ""
        table.split[known] = self.split[rows[known]]
        used = self.split != ""
        gone = used & ~np.isin(self.ids, table.ids)
        _tell(gone, self.ids, "sample(s) of the run's split are gone from the data")
        _tell(~known, table.ids, "sample(s) are new since the run, and in none of its splits")
        _tell(known & (given != "") & (given != table.split), table.ids, "sample(s) would be in another split by now: they stay")
        if table.patients is not None:
            _tell(known & (self.patients[rows] != table.patients), table.ids, "sample(s) have another patient than in the run")
        return True

    def trained_on(self, table: SampleTable, split: Split) -> np.ndarray:
        """Which samples of a table, of those in ``split``, this run has seen, or other images of their patients: bool (N,).

        A run's validation samples are its own to validate.
        """
        seen = [name for name in TRAINED_ON if name != split]
        inside = np.isin(self.split, seen)
        alike = np.isin(table.ids, self.ids[inside])
        patients = self.patients[inside]
        if table.patients is not None:
            alike |= np.isin(table.patients, patients[patients != ""])
        return alike & (table.split == split)


def _tell(which: np.ndarray, ids: np.ndarray, what: str) -> None:
    if which.any():
        log.warning("%d %s, for example %s.", which.sum(), what, ids[which][0])
