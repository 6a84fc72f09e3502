"""A checkpoint every so often within an epoch."""

import datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


def validation_follows(trainer: pl.Trainer) -> bool:
    """Whether the batch that just ended is followed by a validation, or by the end of the epoch, not by a batch."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return trainer.is_last_batch or loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


class PeriodicCheckpoint(ModelCheckpoint):
    """Write ``last.ckpt`` after every validation and every few minutes or steps of training in between.

    After validations because Lightning's own ``last.ckpt`` is written when the monitored metric improves, not else.

    Never right before a validation, which Lightning would leave out on resuming; its own checkpoint follows at once.

    Args:
        folder: where to write.
        minutes: minutes between two checkpoints, where ``steps`` is None.
        steps: training steps between two checkpoints.
    """

    def __init__(self, folder: Path, minutes: float = 30.0, steps: int | None = None) -> None:
        interval = None if steps is not None else datetime.timedelta(minutes=minutes)
        super().__init__(
            dirpath=folder,
            filename="last",
            every_n_train_steps=steps,
            train_time_interval=interval,
            save_top_k=1,
            enable_version_counter=False,
        )

    @property
    def state_key(self) -> str:
        """Apart from the state of the best checkpoint."""
        return type(self).__name__

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save where it is time and training goes on."""
        if not validation_follows(trainer):
            super().on_train_batch_end(trainer, *args)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, unless another callback has just written its ``last.ckpt``; it comes before this one."""
        others = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c is not self]
        written = any(c.save_last and c._last_global_step_saved == trainer.global_step for c in others)
        if not written and not self._should_skip_saving_checkpoint(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
