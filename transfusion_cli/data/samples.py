"""The table of samples that a data module works on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.splits import in_several_splits, label_matrix, nested_order
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["train", "val", "test", "predict"]
"""``predict`` holds images without labels, for prediction alone."""

SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""The splits with labels."""


def as_text(values: Iterable[Any]) -> np.ndarray:
    """Strings in one array of fixed width, which loader workers share instead of copying."""
    return np.array(values if isinstance(values, np.ndarray) else list(values), dtype=np.str_)


@dataclass
class SampleTable:
    """One row per image, in arrays: no Python object per sample, so worker processes share the memory.

    Args:
        ids: name of each sample, unique, string array (N,).
        targets: Float32 (N, L), NaN unknown, for binary and multilabel; int64 (N,), -1 unknown, else.
        split: ``train``, ``val``, ``test``, ``predict``, or the empty string for rows in no split, string array (N,).
        patients: patient of each sample (N,), or None where the source tells none. Slides, lesions and whatever else
            must not part stand here too.
        paths: image file of each sample relative to the root (N,), or None for images held in arrays.
        domains: where each sample comes from (N,), a hospital, a camera, a magnification; results are also given for
            each domain.
        exams: examination of each sample (N,); results are also given for the mean probability of its images.
        source_labels: every label that the source gives each sample, bool (N, K), whichever are asked for and whatever
            becomes of uncertain ones: what draws are stratified by. None where the targets are just that.
        unused: rows that options leave out, bool (N,): views, magnifications, uncertain labels. They count in every
            draw, so that no option changes who is drawn, and are gone after the last. None for none.
        copies: name that images of equal content share (N,); found when a split is drawn and no patients are known.
        masks: mask file of each sample relative to the root, or the empty string (N,); None where labels say all.
        fields: file with the field of view of each sample, or the empty string (N,); None where all can be seen.
    """

    ids: np.ndarray
    targets: np.ndarray
    split: np.ndarray
    patients: np.ndarray | None = None
    paths: np.ndarray | None = None
    domains: np.ndarray | None = None
    exams: np.ndarray | None = None
    source_labels: np.ndarray | None = None
    unused: np.ndarray | None = None
    copies: np.ndarray | None = None
    masks: np.ndarray | None = None
    fields: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.split = np.asarray(self.split, dtype="<U7")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, split: Split) -> np.ndarray:
        """Row numbers of one split, in table order."""
        return np.flatnonzero(self.split == split)

    @cached_property
    def groups(self) -> np.ndarray:
        """Patient of each row as a code (N,) counted from 0; every sample its own where no patients are known."""
        if self.patients is None:
            return np.arange(len(self))
        return np.unique(self.patients, return_inverse=True)[1]

    @property
    def strata(self) -> np.ndarray:
        """What draws are stratified by: the labels of the source, bool (N, K)."""
        return label_matrix(self.targets) if self.source_labels is None else self.source_labels

    def take(self, rows: np.ndarray) -> SampleTable:
        """A table of some rows, given by number or as a mask."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[rows] for name, values in columns.items() if values is not None})

    def used(self) -> SampleTable:
        """The table without the rows that options leave out."""
        return self if self.unused is None else self.take(~self.unused)

    def training_order(self, seed: int) -> np.ndarray:
        """Ids of the training samples in the order in which subsets take them, patient after patient, string array."""
        rows = self.rows("train")
        units = self.ids if self.patients is None else self.patients
        return np.asarray(self.ids[rows][nested_order(units[rows], self.strata[rows], self.ids[rows], seed)])

    def train_on(self, ids: np.ndarray) -> None:
        """Take all other samples out of the training split."""
        rows = self.rows("train")
        self.split[rows[~np.isin(self.ids[rows], ids)]] = ""

    def check_disjoint(self, source: str) -> None:
        """Fail if a patient has images in two splits.

        Args:
            source: where the split comes from.

        Raises:
            UserError: names one such patient and the splits.
        """
        labelled = np.where(np.isin(self.split, SPLITS), self.split, "")  # what is predicted alone may be of anybody
        if self.patients is None or not len(crossing := in_several_splits(self.groups, labelled)):
            return
        rows = np.flatnonzero(self.groups == crossing[0])
        where = " and ".join(sorted(set(labelled[rows].tolist()) - {""}))
        raise UserError(
            f"{len(crossing)} patient(s) are in more than one split, for example {str(self.patients[rows[0]])!r}\n"
            f"which has images in {where} of {source}\n"
            "Give all images of a patient the same split, or leave images out by --data.exclude FILE."
        )

    def frame(self) -> pd.DataFrame:
        """Columns id, patient, split and, where known, domain and exam; one row per sample, in a split or in none."""
        import pandas as pd

        patients = np.full(len(self), "") if self.patients is None else self.patients
        columns = {"id": self.ids, "patient": patients, "split": self.split, "domain": self.domains, "exam": self.exams}
        known = {name: values.astype(object) for name, values in columns.items() if values is not None}
        return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in known.items()})
