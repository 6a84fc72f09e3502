"""What a network said about every case, once, whatever the number of processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class RecordTable:
    """Records of N distinct cases, in the order of their index; all on the CPU.

    Not a dataclass, named tuple or mapping: torchmetrics walks into those and squeezes tensors of one element.

    Args:
        index: int64 (N,), ascending, each value once.
        columns: (N, ...) by name.
    """

    def __init__(self, index: Tensor, columns: dict[str, Tensor]) -> None:
        self.index, self.columns = index, columns

    def __getitem__(self, column: str) -> Tensor:
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.index)


class Records(Metric):
    """Collects records case by case; ``compute`` gives the same table on one process and on many.

    Cases that a distributed sampler showed twice count once (the first is kept), so metrics of the table are
    exact. A rank that saw no case takes part in the exchange all the same.

    Args:
        columns: for each column an empty tensor (0, ...) of its shape and type.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    index: list[Tensor]

    def __init__(self, **columns: Tensor) -> None:
        super().__init__()
        self._empty = {"index": torch.empty(0, dtype=torch.int64), **columns}
        for name in self._empty:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, index: Tensor, **values: Tensor) -> None:
        """Add a batch: int64 (B,), and (B, ...) for each column.

        Raises:
            ValueError: numbers of cases differ.
        """
        for name, column in {"index": index, **values}.items():
            if len(column) != len(index):
                raise ValueError(f"{len(index)} indices and {len(column)} {name}")
            getattr(self, name).append(column.detach().to(self._empty[name].dtype))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather from all processes, first giving a rank without cases empty tensors of the right type.

        torchmetrics puts a one-dimensional float tensor there, and the collective operation then fails or hangs.
        """
        self._ensure_states()
        super().sync(*args, **kwargs)

    def compute(self) -> RecordTable:
        """The table of all cases of all processes."""
        self._ensure_states()
        index = dim_zero_cat(self.index).cpu()
        order = index.argsort(stable=True)
        index = index[order]
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = index[1:] != index[:-1]
        rows = order[first]
        columns = {name: dim_zero_cat(getattr(self, name)).cpu()[rows] for name in self._empty if name != "index"}
        return RecordTable(index[first], columns)

    def _ensure_states(self) -> None:
        if len(self.index) == 0:
            for name, empty in self._empty.items():
                setattr(self, name, [empty.to(self.device)])
