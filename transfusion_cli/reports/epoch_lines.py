"""What stays of an epoch in a terminal or a log file: one line."""

import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from tqdm import tqdm

OFTEN = 60.0
"""Seconds between two lines where there is no bar."""


class EpochLines(pl.Callback):
    """Print a line for each epoch and for each validation within one: metrics, the best so far, and how long it took.

    Where no bar moves, also a line a minute, of training and of evaluation. As in the bar, all are plain numbers that
    the task put down: the first process prints alone and must ask nothing of the others.

    Args:
        epochs: length of the whole run; None or -1 where that is open.
        bar: whether a bar moves.
    """

    def __init__(self, epochs: int | None, bar: bool) -> None:
        self.epochs = epochs
        self.bar = bar
        self._epoch = 0  # counted from 1; 0 where none is open
        self._validated = False  # since the last line
        self._best: float | None = None
        self._begun = self._told = time.monotonic()

    # An epoch is over, and its loss known, when the next begins or training ends. A validation within it is over, and
    # the best checkpoint written, when the next batch begins.

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note how good a resumed run has been."""
        self._best = _best(trainer)[1]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the epoch before."""
        self._end_epoch(trainer, pl_module)
        self._begin_epoch(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the last epoch."""
        self._end_epoch(trainer, pl_module)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        """Tell of a validation within the epoch."""
        if not self._epoch:  # resumed within it
            self._begin_epoch(trainer)
        if self._validated:
            metrics = self._metrics(trainer, pl_module, "val/")
            self._print(trainer, f"{self._name}, {_place(index, trainer.num_training_batches)}", metrics)
            self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that there are new metrics."""
        self._validated = not trainer.sanity_checking

    def _begin_epoch(self, trainer: pl.Trainer) -> None:
        self._epoch, self._validated = trainer.current_epoch + 1, False
        self._begun = time.monotonic()

    def _end_epoch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._epoch:
            metrics = self._metrics(trainer, pl_module, "train/", *(["val/"] if self._validated else []))
            self._print(trainer, self._name, [*metrics, f"{time.monotonic() - self._begun:,.0f} s"])
        self._epoch = 0

    @property
    def _name(self) -> str:
        known = self.epochs is not None and self.epochs > 0
        return f"epoch {self._epoch:>{len(str(self.epochs))}} of {self.epochs}" if known else f"epoch {self._epoch}"

    def _metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *prefixes: str) -> list[str]:
        shown: dict[str, Any] = dict(getattr(pl_module, "shown", {}))
        monitor, best = _best(trainer)
        shown |= {name: x for name, x in getattr(pl_module, "validation_metrics", {}).items() if name == monitor}
        names = [name for prefix in prefixes for name in shown if name.startswith(prefix)]
        texts = {name: f"{name} {number(shown[name])}" for name in names}
        if monitor in texts and best != self._best:
            texts[monitor] += " (best)"
            self._best = best
        return list(texts.values())

    # Where no bar moves.

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Training goes on."""
        if self._due:
            metrics = self._metrics(trainer, pl_module, "train/")
            self._print(trainer, f"{self._name}, {_place(batch_idx + 1, trainer.num_training_batches)}", metrics)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """An evaluation goes on."""
        what, batches = "validation", trainer.num_val_batches
        if trainer.testing:
            what, batches = "test", trainer.num_test_batches
        if trainer.predicting:
            what, batches = "predict", trainer.num_predict_batches
        if self._due:
            self._print(trainer, f"{what}, {_place(batch_idx + 1, batches[dataloader_idx])}", [])

    on_test_batch_end = on_predict_batch_end = on_validation_batch_end

    @property
    def _due(self) -> bool:
        return not self.bar and time.monotonic() - self._told >= OFTEN

    def _print(self, trainer: pl.Trainer, what: str, metrics: list[str]) -> None:
        self._told = time.monotonic()
        if trainer.is_global_zero:
            tqdm.write("  ".join([what, *metrics]), file=sys.stdout)  # above the bars, where there are any
            sys.stdout.flush()


def _best(trainer: pl.Trainer) -> tuple[str | None, float | None]:
    """What the best checkpoint is kept by, and its value; None where there is none."""
    keeper = trainer.checkpoint_callback
    if not isinstance(keeper, ModelCheckpoint):
        return None, None
    return keeper.monitor, None if keeper.best_model_score is None else float(keeper.best_model_score)


def _place(batch: int, batches: int | float) -> str:
    return f"batch {batch:,}" + (f" of {batches:,.0f}" if batches < float("inf") else "")


def number(value: Any) -> str:
    """A loss or metric in a few digits."""
    value = float(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.3g}"
