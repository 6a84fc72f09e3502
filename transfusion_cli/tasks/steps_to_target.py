"""How many optimizer steps it takes to get as good as one wants to be."""

import math
import time
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger

from transfusion_cli.errors import UserError
from transfusion_cli.files import write_json
from transfusion_cli.metrics.monitor import MONITOR
from transfusion_cli.metrics.time_to_event import direction


class StepsToTarget(pl.Callback):
    """Note the first validation whose metric reaches a value: its optimizer step, epoch and seconds of training.

    A run that never gets there is censored at its last validation: all that is known is that it takes longer. Steps
    are only as fine as validations are: ``--trainer.val_check_interval 100 --trainer.check_val_every_n_epoch null``
    validates every 100 batches, over epochs and phases. The weights before training count as step 0 where they are
    validated as a whole (``--trainer.num_sanity_val_steps -1``). Seconds are those of training without validations,
    added up over resumed parts.

    Args:
        metric: the validation metric to watch.
        value: what it has to reach.
        mode: ``max`` when higher is better, ``min`` when lower is; null takes ``min`` for a loss, else ``max``.
        stop: whether to end training, all phases of it, when the value is reached.
    """

    def __init__(
        self, value: float, metric: str = MONITOR, mode: Literal["min", "max"] | None = None, stop: bool = False
    ) -> None:
        self.value, self.metric, self.stop = value, metric, stop
        self.mode = mode or direction(metric)
        self.path: Path | None = None
        """File of the outcome; the run says which."""
        self.first: dict[str, Any] | None = None
        """Step, epochs, seconds and score of the first validation that reached the value."""
        self.last: dict[str, Any] | None = None
        """The same of the last validation."""
        self._seconds = 0.0
        self._since: float | None = None

    @property
    def state_key(self) -> str:
        """Another target starts anew."""
        return self._generate_state_key(metric=self.metric, value=self.value, mode=self.mode)

    @property
    def ends_training(self) -> bool:
        """Whether training is over because the value was reached."""
        return self.stop and self.first is not None

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._seconds + (0.0 if self._since is None else time.monotonic() - self._since)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"first": self.first, "last": self.last, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.first, self.last, self._seconds = (state_dict[name] for name in ("first", "last", "seconds"))

    def outcome(self) -> dict[str, Any]:
        """The target, the ``step`` that reached it (None if none did), and the last step validated, ``budget``."""
        of = self.first or self.last or {}
        return {
            "metric": self.metric,
            "value": self.value,
            "mode": self.mode,
            "reached": self.first is not None,
            "step": self.first and self.first["step"],
            "budget": self.last and self.last["step"],
            "epochs": of.get("epochs"),
            "seconds": of.get("seconds"),
            "score": of.get("score"),
        }

    # --- the clock ------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; stop at once when resuming where the value had been reached."""
        self._since = time.monotonic()
        if self.ends_training:
            trainer.should_stop = True

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Halt the clock."""
        self._seconds, self._since = self.seconds, None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Halt the clock, and say in TensorBoard how it ended."""
        self._seconds, self._since = self.seconds, None
        if trainer.is_global_zero and self.last is not None:
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_text(f"steps_to_target/{self.metric}", self.describe(), trainer.global_step)

    # --- the metric -----------------------------------------------------------------------------------------

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See whether the value is reached, before checkpoints are written.

        Raises:
            UserError: when the metric is not measured.
        """
        if trainer.state.fn != "fit" or (trainer.sanity_checking and trainer.num_sanity_val_steps != math.inf):
            return
        if self.metric not in trainer.callback_metrics:
            known = sorted(
                name for name in trainer.callback_metrics if name.startswith("val/") and name.count("/") == 1
            )
            raise UserError(
                f"steps_to_target watches {self.metric!r}, which is not measured.\nChoose one of {', '.join(known)}."
            )
        # One process decides for all: their clocks differ, and they must stop together.
        self.last = trainer.strategy.broadcast(self._measure(trainer))
        assert self.last is not None
        if self.first is None and self._reaches(self.last["score"]):
            self.first = self.last
            for logger in trainer.loggers:
                # A step at that step: both axes of TensorBoard show it. Censored runs have no such point.
                logger.log_metrics({f"steps_to_target/{self.metric}": float(self.first["step"])}, self.first["step"])
        if trainer.is_global_zero and self.path is not None:
            write_json(self.path, self.outcome())  # after every validation: it is there however the run ends
        if self.ends_training:
            trainer.should_stop = True
        if not trainer.sanity_checking:
            self._since = time.monotonic()

    def _measure(self, trainer: pl.Trainer) -> dict[str, Any]:
        loop = trainer.fit_loop
        score = float(trainer.callback_metrics[self.metric])
        in_epoch = 0.0 if trainer.sanity_checking else loop.epoch_loop.batch_progress.current.ready / loop.max_batches
        return {
            "step": trainer.global_step,
            "epochs": round(loop.epoch_progress.current.processed + in_epoch, 6),  # type: ignore[attr-defined]
            "seconds": round(self.seconds, 3),
            "score": score if math.isfinite(score) else None,
        }

    def _reaches(self, score: float | None) -> bool:
        if score is None:
            return False
        return score >= self.value if self.mode == "max" else score <= self.value

    def describe(self) -> str:
        """One sentence on the outcome."""
        got = self.outcome()
        sign = "≥" if self.mode == "max" else "≤"
        if self.first is None:
            return f"{self.metric} {sign} {self.value:g} was not reached in {got['budget']:,} steps"
        where = f"{got['epochs']:g} epochs, {got['seconds']:,.0f} s of training"
        return f"{self.metric} {sign} {self.value:g} was reached in {got['step']:,} steps ({where}): {got['score']:.4f}"
