"""A checkpoint every so often within an epoch."""

import datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


class PeriodicCheckpoint(ModelCheckpoint):
    """Write ``last.ckpt`` every few minutes or steps of training, so that little is lost in a long epoch.

    Never after the last batch of an epoch, from where Lightning would resume past the epoch's validation; the
    checkpoint of the whole epoch follows at once anyway.

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
        """Save where it is time and the epoch goes on."""
        if not trainer.is_last_batch:
            super().on_train_batch_end(trainer, *args)
