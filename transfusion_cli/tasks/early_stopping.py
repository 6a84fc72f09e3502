"""Early stopping that ends a phase, not the run."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping


class PhaseEarlyStopping(EarlyStopping):
    """End the current phase when a validation metric stops improving; the next phase starts counting afresh.

    Phases of a fixed length (``head_early_stop: false``) are left to run. Without a later phase, training ends.

    Args:
        monitor: the validation metric to watch.
        patience: validations without improvement before the phase ends.
        min_delta: smallest change that counts as an improvement.
        mode: ``min`` or ``max``: the direction of improvement.
    """

    def __init__(self, monitor: str = "val/loss", patience: int = 6, min_delta: float = 0.0, mode: str = "min") -> None:
        super().__init__(
            monitor=monitor, patience=patience, min_delta=min_delta, mode=mode, check_on_train_epoch_end=False
        )

    @property
    def fired(self) -> bool:
        """Whether it has ended the current phase."""
        return self.wait_count >= self.patience

    def start_phase(self) -> None:
        """Forget what earlier phases reached."""
        self.wait_count = 0
        self.stopped_epoch = 0
        self.best_score = torch.tensor(torch.inf if self.mode == "min" else -torch.inf)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once when resuming from a checkpoint that was written as the phase ended."""
        if self.fired:
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the metric, unless the phase has a fixed length."""
        phase: Any = getattr(pl_module, "phase", None)
        if phase is None or phase.early_stop:
            super().on_validation_end(trainer, pl_module)
