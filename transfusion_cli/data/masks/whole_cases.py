"""Whole cases, for evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.sampler import Key


class CaseDataset(Dataset[dict[str, torch.Tensor]]):
    """The cases of one split as they are.

    Args:
        reader: reads the cases.
        rows: rows of the sample table that belong here (N,).
    """

    def __init__(self, reader: CaseReader, rows: np.ndarray) -> None:
        self.reader, self.rows = reader, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """One case: image (C, *S), truth uint8 (*S0), box (dims, 2), spacing (dims,), and index, its row."""
        row = int(self.rows[key[0]])
        return self.item(self.reader.whole(row), row)

    @staticmethod
    def item(case: Case, row: int) -> dict[str, torch.Tensor]:
        """What is given of a case."""
        return {
            "image": torch.from_numpy(np.require(case.image, requirements=["C", "W"])),
            "truth": torch.from_numpy(np.require(case.truth, requirements=["C", "W"])),
            "box": torch.from_numpy(case.box.astype(np.int64)),
            "spacing": torch.from_numpy(case.spacing.astype(np.float64)),
            "index": torch.tensor(row),
        }


def collate_cases(cases: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
    """A batch of cases, each of a size of its own: the list as ``cases``, and ``index`` (B,)."""
    if get_worker_info() is not None:  # see ``loader.collate``
        cases = [{name: tensor.share_memory_() for name, tensor in case.items()} for case in cases]
    return {"cases": cases, "index": torch.stack([case["index"] for case in cases])}
