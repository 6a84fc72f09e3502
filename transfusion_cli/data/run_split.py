"""The split that a run was trained on, which later commands on that run follow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.data.splits import split_hash
from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.spreadsheet import spreadsheet_plain

log = logging.getLogger(__name__)

Authority = Literal["run", "data", "data_unchecked"]
"""Who says which sample is in which split, where a run is evaluated or gone on with.

* ``run``: the run's ``split.csv``. Samples that it does not know are left out; where it knows none, the data say.
* ``data``: the data as they are now, if no sample to be tested was trained on.
* ``data_unchecked``: the data as they are now, in any case.
"""

TRAINED_ON: tuple[Split, ...] = ("train", "val")
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
        import pandas as pd

        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=["id", "patient", "split"])
            written = RunFolder(path.parent).split_hash.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{path} or its .sha256 cannot be read: {reason}\nThey say what the run was trained on."
            ) from error
        own = cls(path, *(as_text(spreadsheet_plain(frame[name])) for name in ("id", "patient", "split")))
        if own.sha256 != written:
            raise UserError(
                f"{path} is not as the run wrote it: its hash is {own.sha256[:12]}, not {written[:12]}.\n"
                "It says what the run was trained on. Put the run's own file back."
            )
        return own

    @property
    def sha256(self) -> str:
        """Hash of which sample is in which split."""
        return split_hash(self.ids, self.split)

    def knows(self, table: SampleTable) -> bool:
        """Whether it has every sample of a table."""
        return bool(np.isin(table.ids, self.ids).all())

    def is_split_of(self, table: SampleTable, split: Split) -> bool:
        """Whether a table has the samples in one split that the run had there, all of them and no others."""
        own = self.ids[self.split == split]
        return len(own) == len(table.rows(split)) and bool(np.isin(table.ids[table.rows(split)], own).all())

    def impose(self, table: SampleTable) -> bool:
        """Give each sample of a table the split that it had in the run; say what is new, gone or another patient's.

        Returns:
            Whether the run knows any of them; else nothing was changed.
        """
        rows = self._rows_of(table)
        known = rows >= 0
        if not known.any():
            return False
        given = table.split.copy()
        table.split[:] = ""
        table.split[known] = self.split[rows[known]]
        gone = (self.split != "") & ~np.isin(self.ids, table.ids)
        _tell(gone, self.ids, "samples of the run are gone from the data")
        _tell(~known & (given != ""), table.ids, "samples are new since the run, and in none of its splits")
        # Of what the data leave for training, splits are drawn only where no run says which.
        moved = known & ~np.isin(given, ["", "train"]) & (table.split != "") & (given != table.split)
        _tell(moved, table.ids, "samples are in the split that they had in the run, where the data now say another")
        if table.patients is not None:
            others = known & (self.patients[rows] != table.patients)
            _tell(others, table.ids, "samples had another patient, or none, in the run")
        return True

    def check(self, table: SampleTable, stage: str | None, authority: Authority) -> None:
        """See that data with a split of their own are fit to evaluate this run on.

        Raises:
            UserError: training would go on with other data, or what is to be evaluated was trained on.
        """
        if stage == "fit":
            raise UserError(
                f"The run was trained on other data: none of its samples, such as {self.ids[0]}, is here.\n"
                "Give the data of the run, or start a run of its own: leave --ckpt_path out."
            )
        split: Split = "val" if stage == "validate" else "test"
        seen = self._trained_on(table, split)
        if not seen.any():
            return
        many = f"{seen.sum()} of the {len(table.rows(split))} {split} samples"
        if authority == "data_unchecked":
            log.warning("%s were trained on, or are of patients that were.", many)
            return
        raise UserError(
            f"{many} were trained on, or are of patients called like those: for example {table.ids[seen][0]}\n"
            "--split run evaluates the samples that the run held back; --split data_unchecked evaluates these all the\n"
            "same, as when other people bear the same names."
        )

    def _trained_on(self, table: SampleTable, split: Split) -> np.ndarray:
        """Which samples of ``split`` the run has seen, or whose patients: bool (N,).

        Its own validation it may repeat.
        """
        return np.asarray(self.trained_on(table.ids, table.patients, split) & (table.split == split))

    def trained_on(self, ids: np.ndarray, patients: np.ndarray | None, split: Split = "test") -> np.ndarray:
        """Which samples the run has seen, or whose patients, but for those of ``split``: bool (N,).

        Args:
            ids: of the samples (N,).
            patients: of each (N,), or None.
            split: what is evaluated.
        """
        inside = np.isin(self.split, [name for name in TRAINED_ON if name != split])
        alike = np.isin(as_text(ids), self.ids[inside])
        if patients is not None:
            own = self.patients[inside]
            alike |= np.isin(as_text(patients), own[own != ""])
        return np.asarray(alike)

    def _rows_of(self, table: SampleTable) -> np.ndarray:
        """Row of this file for each row of a table, -1 where there is none: int64 (N,)."""
        order = np.argsort(self.ids, kind="stable")
        if not len(order):
            return np.full(len(table), -1)
        place = np.searchsorted(self.ids, table.ids, sorter=order).clip(max=len(order) - 1)
        found = order[place]
        return np.where(self.ids[found] == table.ids, found, -1)


def _tell(which: np.ndarray, ids: np.ndarray, what: str) -> None:
    if which.any():
        log.warning("%d %s, for example %s", which.sum(), what, ids[which][0])
