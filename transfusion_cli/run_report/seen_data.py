"""What the data themselves add to the files of a run: who is in which split, and what an image looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import SPLITS
from transfusion_cli.data.subgroups import ALIASES, find_column, number
from transfusion_cli.errors import UserError
from transfusion_cli.inspection.counts import count
from transfusion_cli.run_report.pictures import thumbnail
from transfusion_cli.targets import MASK_TARGETS

if TYPE_CHECKING:
    import pandas as pd

MOST = 8
"""Values of a column that are told apart; the rest are counted together."""


@dataclass
class SeenData:
    """The data of a run, in the splits of that run.

    Args:
        data: the data module.
    """

    data: MedicalDataModule

    @cached_property
    def counts(self) -> dict[str, dict[str, Any]]:
        """Images, patients and classes of each split."""
        return count(self.data.samples, self.data.target, [] if self.masked else self.data.class_names)

    @property
    def masked(self) -> bool:
        """Whether there are masks."""
        return self.data.target in MASK_TARGETS

    @property
    def unknown(self) -> int:
        """Labels that are not known, of all splits; 0 of masks."""
        return 0 if self.masked else sum(part["classes"]["unknown"] for part in self.counts.values())

    @cached_property
    def told(self) -> pd.DataFrame | None:
        """What the source tells of each row of the table, as text; None where it tells nothing."""
        told: pd.DataFrame | None = self.data.columns_of(np.arange(len(self.data.samples)))
        return told

    def column(self, what: str) -> str | None:
        """The column that tells of ``sex`` and so on; None where there is none."""
        try:
            return None if self.told is None else find_column(what, list(self.told.columns), "")
        except UserError:
            return None

    def classes(self) -> tuple[list[str], list[list[str]]]:
        """Images with each class or label, a column a split; no rows of masks."""
        splits = list(self.counts)
        rows = []
        for name in () if self.masked else (*self.data.class_names, "unknown"):
            numbers = [self.counts[split]["classes"][name] for split in splits]
            if name != "unknown" or any(numbers):
                title = "labels unknown" if name == "unknown" else name
                whole = [self.counts[split]["images"] for split in splits]
                rows.append([title, *(share(*pair) for pair in zip(numbers, whole, strict=True))])
        return [self.data.unit, *splits], rows

    def people(self) -> tuple[list[str], list[list[str]]]:
        """Sex, age, view and site where they are known, a column a split: of patients, or of images where none are."""
        rows: list[list[str]] = []
        for what in ALIASES:
            name = self.column(what)
            if name is None or self.told is None:
                continue
            texts = self.told[name].fillna("").astype("str").to_numpy(dtype=object)
            of_patients = what in ("sex", "age") and self.data.samples.patients is not None
            unit = "patients" if of_patients else self.data.unit
            parts = [self._rows(split, of_patients) for split in SPLITS]
            cells = self._ages if what == "age" else self._values
            rows += [[f"{what}, {unit}", *([""] * len(SPLITS))], *cells([texts[part] for part in parts])]
        return ["", *SPLITS], rows

    def thumbnails(self, ids: Sequence[str]) -> list[bytes | None]:
        """Small pictures of test images by their ids; None for what is not there or cannot be read."""
        rows = dict(zip(self.data.samples.ids.tolist(), range(len(self.data.samples)), strict=True))
        read: Callable[[int], Any] = self.data.make_reader("test", None)
        found: list[bytes | None] = []
        for name in ids:
            try:
                found.append(thumbnail(np.asarray(read(rows[name]))))
            except Exception:  # a damaged file can break a decoder anywhere
                found.append(None)
        return found

    def _rows(self, split: Any, of_patients: bool) -> np.ndarray:
        rows = self.data.samples.rows(split)
        if not of_patients:
            return rows
        return rows[np.unique(self.data.samples.groups[rows], return_index=True)[1]]  # the first image of each

    @staticmethod
    def _values(parts: list[np.ndarray]) -> list[list[str]]:
        everything = np.concatenate(parts) if parts else np.zeros(0, dtype=object)
        names, many = np.unique(everything[everything != ""].astype(str), return_counts=True)
        order = names[np.argsort(-many, kind="stable")].tolist()
        shown, rest = sorted(order[:MOST]), order[MOST:]
        rows = [[f"  {name}", *(share(int((part == name).sum()), len(part)) for part in parts)] for name in shown]
        if rest:
            others = [int(np.isin(part, rest).sum()) for part in parts]
            rows.append([f"  {len(rest)} others", *(share(*p) for p in zip(others, map(len, parts), strict=True))])
        return rows + _blank([int((part == "").sum()) for part in parts], parts)

    @staticmethod
    def _ages(parts: list[np.ndarray]) -> list[list[str]]:
        numbers = [np.array([number(text) for text in part]) for part in parts]
        known = [each[~np.isnan(each)] for each in numbers]
        cells = []
        for ages in known:
            low, middle, high = np.quantile(ages, [0.25, 0.5, 0.75]) if len(ages) else (0, 0, 0)
            cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})" if len(ages) else "")
        missing = [len(part) - len(ages) for part, ages in zip(parts, known, strict=True)]
        return [["  median (quartiles), years", *cells], *_blank(missing, parts)]


def share(number: int, whole: int) -> str:
    """``388 (10.0 %)``."""
    return f"{number:,} ({number / whole:.1%})".replace("%", " %") if whole else f"{number:,}"


def _blank(numbers: list[int], parts: list[np.ndarray]) -> list[list[str]]:
    if not any(numbers):
        return []
    return [["  not known", *(share(n, len(part)) for n, part in zip(numbers, parts, strict=True))]]
