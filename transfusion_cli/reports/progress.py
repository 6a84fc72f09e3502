"""The progress bar."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

PAUSE = 0.2
"""Seconds between two looks at the numbers: each waits until the device has done what it was given."""


class Progress(TQDMProgressBar):
    """Lightning's bar with the metrics that matter: training loss, and the headline metrics of validation.

    Lightning's own way to the numbers computes whatever was logged, collectives over processes included, and the bar
    is shown by the first process alone. So it shows plain numbers that the task put down. What stays of an epoch is its
    line (``EpochLines``).
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, str] = {}
        self._read = -PAUSE

    def init_train_tqdm(self) -> Tqdm:
        """A bar that goes when training ends."""
        bar = super().init_train_tqdm()
        bar.leave = False
        return bar

    def on_train_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Begin, also where a run is resumed within an epoch."""
        super().on_train_start(trainer, *args)
        self.on_train_epoch_start(trainer, *args)

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Begin again, under the number that the epoch's line will have."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The numbers beside the bar."""
        if time.monotonic() - self._read >= PAUSE:
            self._numbers = {name: f"{float(value):.3g}" for name, value in getattr(pl_module, "shown", {}).items()}
            self._read = time.monotonic()
        return self._numbers
