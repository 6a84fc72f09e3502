"""What becomes of BatchNorm's running statistics when a phase begins, and in half precision."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from transfusion_cli.models.batch_norm import GROUP, reestimate_statistics
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.strategies.statistics_guard import StatisticsGuard
from transfusion_cli.tasks.network import Transferred
from transfusion_cli.tasks.processes import sum_over_processes


class RunningStatistics:
    """Re-estimates them where the plan says so, once in a run, and keeps overflowing batches out of them."""

    def __init__(self) -> None:
        self.reestimated = False
        self._guard: StatisticsGuard | None = None

    def begin(self, task: pl.LightningModule, own: Transferred, phase: Phase, prepare: Callable[[Any], Tensor]) -> None:
        """Prepare for a phase; all processes take part.

        Args:
            task: what trains.
            own: its network.
            phase: what begins.
            prepare: makes the images of a batch the network's input.
        """
        trainer = task.trainer
        if phase.statistics == "reestimate" and not self.reestimated:
            images = map(prepare, trainer.datamodule.statistics_dataloader(GROUP))  # type: ignore[attr-defined]
            sync: Any = getattr(trainer, "layer_sync", None)
            with nullcontext() if sync is None else sync.suspended(task):  # processes have groups of their own
                reestimate_statistics(own.network, images, all_reduce=partial(sum_over_processes, trainer))
            self.reestimated = True
        half = "16" in str(trainer.precision) and phase.moving(own.parts)
        self._guard = StatisticsGuard(own.network) if half else None

    def remember(self) -> None:
        """Before a batch."""
        if self._guard is not None:
            self._guard.remember()

    def repair(self) -> None:
        """Undo what an overflowing half-precision batch wrote; only after the backward pass, which needs it."""
        if self._guard is not None:
            self._guard.repair()
