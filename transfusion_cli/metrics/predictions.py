"""Every sample's logits and target, once, whatever the number of processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from transfusion_cli.targets import Target, num_logits


class PredictionTable:
    """What a network said about N distinct samples, in the order of their index; all on the CPU.

    Not a dataclass or named tuple: torchmetrics walks into those and squeezes tensors of one element.

    Args:
        index: int64 ``(N,)``, ascending, each value once.
        logits: float32 ``(N, L)``.
        targets: float32 ``(N, L)`` or int64 ``(N,)``, see :data:`transfusion_cli.targets.Target`.
    """

    def __init__(self, index: Tensor, logits: Tensor, targets: Tensor) -> None:
        self.index, self.logits, self.targets = index, logits, targets

    def __len__(self) -> int:
        return len(self.index)


class Predictions(Metric):
    """Collects predictions per sample; ``compute`` gives the same table on one process and on many.

    Samples that a distributed sampler showed twice count once (the first is kept), so metrics of the table are
    exact. A rank that saw no sample takes part in the exchange all the same.

    Args:
        target: The kind of target.
        num_classes: Number of class (or label) names.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    index: list[Tensor]
    logits: list[Tensor]
    targets: list[Tensor]

    def __init__(self, target: Target, num_classes: int) -> None:
        super().__init__()
        width = num_logits(target, num_classes)
        integer = target in ("multiclass", "ordinal")
        self._logits_shape: tuple[int, ...] = (0, width)
        self._targets_shape: tuple[int, ...] = (0,) if integer else (0, width)
        self._targets_dtype = torch.int64 if integer else torch.float32
        for state in ("index", "logits", "targets"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, index: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: int64 ``(B,)``, logits of any float type ``(B, L)``, targets ``(B, L)`` or ``(B,)``."""
        if not len(index) == len(logits) == len(targets):
            raise ValueError(f"{len(index)} indices, {len(logits)} rows of logits and {len(targets)} targets")
        self.index.append(index.detach().long())
        self.logits.append(logits.detach().float())
        self.targets.append(targets.detach().to(self._targets_dtype))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather from all processes, first giving a rank without samples empty tensors of the right type.

        torchmetrics puts a one-dimensional float tensor there, and the collective operation then fails or hangs.
        """
        self._ensure_states()
        super().sync(*args, **kwargs)

    def compute(self) -> PredictionTable:
        """The table of all samples of all processes."""
        self._ensure_states()
        index = dim_zero_cat(self.index).cpu()
        order = index.argsort(stable=True)
        index = index[order]
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = index[1:] != index[:-1]
        rows = order[first]
        return PredictionTable(
            index[first], dim_zero_cat(self.logits).cpu()[rows], dim_zero_cat(self.targets).cpu()[rows]
        )

    def _ensure_states(self) -> None:
        if len(self.index) == 0:
            self.index = [torch.empty(0, dtype=torch.int64, device=self.device)]
            self.logits = [torch.empty(self._logits_shape, device=self.device)]
            self.targets = [torch.empty(self._targets_shape, dtype=self._targets_dtype, device=self.device)]
