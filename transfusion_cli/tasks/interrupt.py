"""Ctrl-C leaves a run that can be resumed."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info

from transfusion_cli.tasks.periodic_checkpoint import validation_follows


class GracefulInterrupt(pl.Callback):
    """On Ctrl-C, finish the batch, write ``last.ckpt`` and stop; a second Ctrl-C stops at once.

    During validation it waits for that validation's checkpoint.

    Args:
        checkpoint: where to write the checkpoint.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._asked = False
        self._previous: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for Ctrl-C."""
        try:
            self._previous = signal.signal(signal.SIGINT, self._ask)
        except ValueError:  # not in the main thread, where Python allows no signal handlers
            self._previous = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        rank_zero_info("\nStopping after this batch (or validation); press Ctrl-C again to stop at once.")

    def _stop(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size > 1:
            return trainer.strategy.reduce_boolean_decision(self._asked, all=False)
        return self._asked

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save between two batches, where weights, optimizer and counters agree.

        Not right before a validation, which Lightning would leave out on resuming.
        """
        if self._stop(trainer) and not validation_follows(trainer):
            trainer.save_checkpoint(self.checkpoint)
            raise KeyboardInterrupt

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Stop where the checkpoint of a validation has just been written."""
        saved = [getattr(callback, "_last_global_step_saved", None) for callback in trainer.checkpoint_callbacks]
        if trainer.global_step in saved and self._stop(trainer) and self.checkpoint.is_file():
            raise KeyboardInterrupt

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give Ctrl-C back to whoever had it."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give Ctrl-C back to whoever had it."""
        self._restore()

    def _restore(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
