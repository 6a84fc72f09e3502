"""The table of samples that a data module works on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
        ids: Name of each sample, unique, string array (N,).
        targets: Float32 (N, L), NaN unknown, for binary and multilabel; int64 (N,), -1 unknown, else.
        split: ``train``, ``val``, ``test``, ``predict``, or the empty string for rows in no split, string array (N,).
        patients: Patient of each sample (N,), or None where the source tells none. Slides, lesions and whatever else
            must not part stand here too.
        paths: Image file of each sample relative to the root (N,), or None for images held in arrays.
        domains: Where each sample comes from (N,), a hospital, a camera, a magnification; results are also given for
            each domain.
        exams: Examination of each sample (N,); results are also given for the mean probability of its images.
    """

    ids: np.ndarray
    targets: np.ndarray
    split: np.ndarray
    patients: np.ndarray | None = None
    paths: np.ndarray | None = None
    domains: np.ndarray | None = None
    exams: np.ndarray | None = None

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

    def frame(self) -> pd.DataFrame:
        """Columns id, patient, split and, where known, domain and exam; one row per sample that belongs to a split."""
        import pandas as pd

        patients = np.full(len(self), "") if self.patients is None else self.patients
        columns = {"id": self.ids, "patient": patients, "split": self.split}
        extra = {"domain": self.domains, "exam": self.exams}
        columns |= {name: values for name, values in extra.items() if values is not None}
        frame = pd.DataFrame({name: pd.Series(values.astype(object), dtype="str") for name, values in columns.items()})
        return frame[self.split != ""].reset_index(drop=True)
