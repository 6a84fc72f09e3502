"""Images with the same pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfusion_cli.data.samples import SPLITS, SampleTable
from transfusion_cli.data.splits import in_several_splits, label_matrix


@dataclass
class Duplicates:
    """Groups of samples whose images are the same, pixel by pixel.

    Args:
        rows: rows of the sample table that have a double (M,).
        groups: number of the group of each of them (M,), from 0 on.
        crosses: whether a group is in more than one split (G,).
        conflicts: whether a group has samples with different labels, or masks (G,).
    """

    rows: np.ndarray
    groups: np.ndarray
    crosses: np.ndarray
    conflicts: np.ndarray

    def __len__(self) -> int:
        return len(self.crosses)

    def surplus(self, table: SampleTable) -> np.ndarray:
        """Rows to leave out so that no image is there twice.

        All of a group whose labels conflict, for nobody knows which is right; else all but one, which stays in the
        test split before the validation split before the training split.
        """
        rank = np.select([table.split[self.rows] == split for split in ("test", "val")], [0, 1], 2)
        order = np.lexsort((self.rows, rank, self.groups))
        first = np.ones(len(order), dtype=bool)
        first[1:] = self.groups[order][1:] != self.groups[order][:-1]
        return np.sort(self.rows[order][~first | self.conflicts[self.groups[order]]])


def find_duplicates(
    table: SampleTable, digests: np.ndarray, eligible: np.ndarray, masks: np.ndarray | None = None
) -> Duplicates:
    """Group the samples by digest.

    Args:
        table: the samples.
        digests: digest of each image (N,).
        eligible: rows that were read and are not empty (bool, N); of these, rows in a split with labels are compared.
        masks: digest of each mask (N,), where these are the labels.
    """
    rows = np.flatnonzero(eligible & np.isin(table.split, SPLITS))
    _, codes, counts = np.unique(digests[rows], return_inverse=True, return_counts=True)
    rows, codes = rows[counts[codes] > 1], codes[counts[codes] > 1]
    groups = np.unique(codes, return_inverse=True)[1]
    number = int(groups.max(initial=-1)) + 1

    crosses = np.isin(np.arange(number), in_several_splits(groups, table.split[rows]))
    if masks is not None:
        names = masks[rows].astype(np.str_)
        return Duplicates(rows, groups, crosses, np.isin(np.arange(number), in_several_splits(groups, names)))
    targets = table.targets[rows]
    known = ~np.isnan(targets) if targets.ndim == 2 else (targets >= 0)[:, None]
    has = label_matrix(targets)
    some, none = np.zeros((2, number, has.shape[1]), dtype=bool)
    np.logical_or.at(some, groups, has & known)
    np.logical_or.at(none, groups, ~has & known)
    return Duplicates(rows, groups, crosses, np.any(some & none, axis=1))
