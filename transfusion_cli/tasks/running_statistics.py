"""What becomes of BatchNorm's running statistics when a phase begins, and in half precision."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from transfusion_cli.models.batch_norm import GROUP, reestimate_statistics
from transfusion_cli.strategies.statistics_guard import StatisticsGuard

if TYPE_CHECKING:
    from transfusion_cli.tasks.base import TransferTask


class RunningStatistics:
    """Re-estimates them where the plan says so, once in a run, and keeps overflowing batches out of them."""

    def __init__(self) -> None:
        self.reestimated = False
        self._guard: StatisticsGuard | None = None

    def begin(self, task: "TransferTask") -> None:
        """Prepare for the current phase of a task; all processes take part."""
        if task.phase.statistics == "reestimate" and not self.reestimated:
            self._reestimate(task)
        half = "16" in str(task.trainer.precision) and task.phase.moving(task.transferred.parts)
        self._guard = StatisticsGuard(task.network) if half else None

    def _reestimate(self, task: "TransferTask") -> None:
        loader = task.trainer.datamodule.statistics_dataloader(GROUP)  # type: ignore[attr-defined]
        images = (task.normalise(batch["image"].to(task.device)) for batch in loader)
        sync: Any = getattr(task.trainer, "layer_sync", None)
        with nullcontext() if sync is None else sync.suspended(task):  # processes have groups of their own
            reestimate_statistics(task.network, images, all_reduce=task.sum_over_processes)
        self.reestimated = True

    def remember(self) -> None:
        """Before a batch."""
        if self._guard is not None:
            self._guard.remember()

    def repair(self) -> None:
        """Undo what an overflowing half-precision batch wrote; only after the backward pass, which needs it."""
        if self._guard is not None:
            self._guard.repair()
