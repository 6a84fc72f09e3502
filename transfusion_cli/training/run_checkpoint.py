"""The checkpoints that a run keeps."""

import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from transfusion_cli.files import second_name


class RunCheckpoint(ModelCheckpoint):
    """Keep the best epoch, ``best.ckpt``, and where to go on, ``last.ckpt``.

    After each validation ``best.ckpt`` is written, if the metric is the best so far, and then ``last.ckpt``: two names
    of one file where both are due. A run that is cut in between goes on from the ``last.ckpt`` before, and comes by
    that validation again. Training writes ``last.ckpt`` every few minutes too, between two optimizer steps.

    Args:
        minutes: minutes of training between two checkpoints without a validation.
        kwargs: as for Lightning's ``ModelCheckpoint``.
    """

    def __init__(self, minutes: float = 30.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minutes = minutes
        self._written = time.monotonic()
        self._home: Path | None = None

    @property
    def last(self) -> Path:
        """The file to go on from."""
        return Path(self.dirpath or ".") / f"{self.CHECKPOINT_NAME_LAST}{self.FILE_EXTENSION}"

    @property
    def due(self) -> bool:
        """Whether it is time for another ``last.ckpt``."""
        return time.monotonic() - self._written >= 60 * self.minutes

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save where the user's own triggers say so, but for where a resumed run would not be the same."""
        if between_steps(trainer):
            super().on_train_batch_end(trainer, *args)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best, then the last."""
        if self._should_skip_saving_checkpoint(trainer):
            return
        if self._every_n_epochs and (trainer.current_epoch + 1) % self._every_n_epochs == 0:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        self.write_last(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last where the epoch had no validation."""
        if not self._should_skip_saving_checkpoint(trainer):
            self.write_last(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Everything is saved."""

    def write_last(self, trainer: pl.Trainer) -> None:
        """Write ``last.ckpt``: as a second name of what was just written, where something was."""
        fresh = self._last_checkpoint_saved if self._last_global_step_saved == trainer.global_step else ""
        if fresh and not self.save_weights_only:
            if trainer.is_global_zero:
                second_name(Path(fresh), self.last)
            trainer.strategy.barrier("last checkpoint")
        else:
            trainer.save_checkpoint(self.last)
        self._last_global_step_saved = trainer.global_step
        self.last_model_path = str(self.last)
        self._written = time.monotonic()

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """See where the checkpoint lies."""
        path = trainer.ckpt_path
        self._home = None if path is None else Path(os.path.realpath(path)).parent

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was best so far in this run, wherever its folder was then; a new run has no best yet."""
        if self.dirpath is None or self._home != Path(os.path.realpath(self.dirpath)):
            return

        def here(path: str) -> str:
            return str(Path(self.dirpath or "", Path(path).name)) if path else ""

        names = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in names}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})


def between_steps(trainer: pl.Trainer) -> bool:
    """Whether the batch that just ended is followed by another one, after an optimizer step.

    Only there is all that a run goes on from in a checkpoint. Within a step gradients are not, and a validation, or the
    end of an epoch, would be left out by Lightning on resuming; it is followed by a checkpoint of its own.
    """
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    ends = trainer.is_last_batch or loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
    return not ends and not loop._should_accumulate()
