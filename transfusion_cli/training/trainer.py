"""The trainer that runs a plan phase by phase."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.tasks.base import CHECKPOINT_KEY, TransferTask
from transfusion_cli.tasks.checkpoints import AtomicCheckpointIO, check_compatible, read_checkpoint
from transfusion_cli.tasks.delta import is_delta, load_delta
from transfusion_cli.tasks.early_stopping import PhaseEarlyStopping
from transfusion_cli.tasks.steps_to_target import StepsToTarget
from transfusion_cli.tasks.weight_average import RAW
from transfusion_cli.training.connectors import connect
from transfusion_cli.training.interruption import Interruption
from transfusion_cli.training.rendezvous import check_main_address
from transfusion_cli.training.spread import check_spread
from transfusion_cli.training.sync_batch_norm import PhaseSyncBatchNorm

logger = logging.getLogger(__name__)


class Trainer(pl.Trainer):
    """Lightning's trainer, with one ``fit`` per phase of the task's plan.

    What trains changes between fits only: DDP wraps anew, the optimizer is fresh, and epoch and step counters run
    on. ``max_epochs`` is the length of the whole run. Data come sharded from the datamodule (no sampler is put in),
    and checkpoints are read without running code.
    """

    callbacks: list[pl.Callback]  # set by Lightning behind the back of type checkers, like the next one
    fast_dev_run: bool | int

    def __init__(
        self, *args: Any, use_distributed_sampler: bool = False, sync_batchnorm: bool = False, **kwargs: Any
    ) -> None:
        plugins = kwargs.pop("plugins", None) or []
        plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        self.layer_sync = PhaseSyncBatchNorm() if sync_batchnorm else None
        plugins += [AtomicCheckpointIO(), *([self.layer_sync] if self.layer_sync else [])]
        super().__init__(
            *args,
            use_distributed_sampler=use_distributed_sampler,
            sync_batchnorm=sync_batchnorm,
            plugins=plugins,
            **kwargs,
        )
        connect(self)
        self.evaluated: str | None = None
        """The checkpoint of the last evaluation."""

    def fit(  # type: ignore[override]
        self,
        model: pl.LightningModule,
        train_dataloaders: Any = None,
        val_dataloaders: Any = None,
        datamodule: pl.LightningDataModule | None = None,
        ckpt_path: str | None = None,
        weights_only: bool | None = True,
    ) -> None:
        """Train ``model`` through all phases of its plan.

        Args:
            model: the task.
            train_dataloaders: training data, where no datamodule is given.
            val_dataloaders: validation data, where no datamodule is given.
            datamodule: the data.
            ckpt_path: checkpoint to resume from, in whatever phase and batch it was written.
            weights_only: refuse checkpoints with pickled code; leave it true.
        """
        data = {"train_dataloaders": train_dataloaders, "val_dataloaders": val_dataloaders, "datamodule": datamodule}
        if not isinstance(model, TransferTask):
            return super().fit(model, **data, ckpt_path=ckpt_path, weights_only=weights_only)
        self._meet()
        first = self._prepare(model, ckpt_path)
        check_spread(self, model)
        max_epochs = self.max_epochs
        with nullcontext() if self.interruption is None else self.interruption.listening():
            for index in range(first, len(model.plan)):
                if index > first:
                    if any(c.ends_training for c in self.callbacks if isinstance(c, StepsToTarget)):
                        break
                    self._enter_next_phase(model, index)
                self._limit(model, max_epochs)
                resumed = ckpt_path if index == first else None
                with warnings.catch_warnings():
                    # Evaluation mode is the strategy's choice here, and normalisation is the task's.
                    warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training")
                    warnings.filterwarnings("ignore", message="You have overridden `(on_after|transfer)_batch_")
                    with _interrupts_rise():
                        super().fit(model, **data, ckpt_path=resumed, weights_only=True)
                if self.interruption is not None and self.interruption.leaving:
                    self.interruption.leave(self)
        self.fit_loop.max_epochs = max_epochs
        for average in model.averages:
            average.finish(model)

    def _prepare(self, model: TransferTask, ckpt_path: str | None) -> int:
        """Build the network; return the phase to start in."""
        if ckpt_path is None:
            model.build()
            return 0
        checkpoint = read_checkpoint(ckpt_path)
        check_compatible(model, checkpoint, ckpt_path)
        own = checkpoint[CHECKPOINT_KEY]
        model.build(own)
        phases = [phase.name for phase in model.plan]
        if own["phases"] != phases:
            raise UserError(
                f"{ckpt_path} was trained in the phases {', '.join(own['phases'])};\n"
                f"the strategy plans {', '.join(phases)}.\n"
                "Resume with the run's own --model.transfer, or start a new run without --ckpt_path."
            )
        if RAW in checkpoint and not model.averages:
            raise UserError(
                f"{ckpt_path} has averaged weights, and there is no --model.ema to go on with.\n"
                "Resume with the run's own --model.ema, or start a new run without --ckpt_path."
            )
        begun = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["ready"]
        if self.max_epochs not in (None, -1) and begun > self.max_epochs:
            raise UserError(
                f"{ckpt_path} is of epoch {begun}, after the last one by --trainer.max_epochs {self.max_epochs}.\n"
                f"To go on: --trainer.max_epochs {begun + 1}"
            )
        model.start_phase(own["phase"], *own["phase_start"])
        return model.phase_index

    def _enter_next_phase(self, model: TransferTask, index: int) -> None:
        """Start phase ``index``: from the best weights so far where early stopping ended the one before."""
        stoppers = [callback for callback in self.early_stopping_callbacks if isinstance(callback, PhaseEarlyStopping)]
        best = self.best_checkpoint
        if best and model.phase.early_stop and any(stopper.fired for stopper in stoppers):
            model.load_state_dict(read_checkpoint(best)["state_dict"])
        for stopper in stoppers:
            stopper.start_phase()
        model.start_phase(index, self.epochs_done, self.global_step)
        logger.info("Phase %d of %d: %s", index + 1, len(model.plan), model.phase.name)

    def _limit(self, model: TransferTask, max_epochs: int | None) -> None:
        """Let the fit loop end where the current phase ends."""
        phases_done = model.phase_index + 1
        if self.fast_dev_run:
            self.fit_loop.max_epochs = phases_done
            self.fit_loop.epoch_loop.max_steps = phases_done * int(self.fast_dev_run)
            return
        end = max_epochs
        if model.phase.epochs is not None:
            end = model.phase_start_epoch + model.phase.epochs
            if max_epochs not in (None, -1):
                _check_time_for_all(model.phase.name, end, model.plan[phases_done:], max_epochs)
        self.fit_loop.max_epochs = end

    @property
    def interruption(self) -> Interruption | None:
        """What listens to signals, if anything does."""
        return next((callback for callback in self.callbacks if isinstance(callback, Interruption)), None)

    @property
    def epochs_done(self) -> int:
        """Epochs trained in all phases so far."""
        return int(self.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]

    @property
    def best_checkpoint(self) -> str:
        """Path of the checkpoint with the best monitored metric so far, or the empty string."""
        return "" if self.keeper is None else self.keeper.best_model_path

    @property
    def kept_checkpoint(self) -> str:
        """Path of what the run is evaluated by: its best epoch, its last where none was validated, or nothing."""
        return self.best_checkpoint or getattr(self.checkpoint_callback, "last_model_path", "")

    @property
    def keeper(self) -> ModelCheckpoint | None:
        """What keeps the best epoch by a metric, once there is one."""
        monitored = [c for c in self.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor is not None]
        return next((callback for callback in monitored if callback.best_model_path), None)

    # --- evaluation -----------------------------------------------------------------------------------------

    def validate(  # type: ignore[override]
        self, model: Any = None, dataloaders: Any = None, ckpt_path: str | None = None, **kwargs: Any
    ) -> Any:
        """Evaluate on the validation split; ``ckpt_path`` may be a delta checkpoint."""
        with _interrupts_rise():
            return super().validate(model, dataloaders, ckpt_path=self._prepared(model, ckpt_path), **kwargs)

    def test(  # type: ignore[override]
        self, model: Any = None, dataloaders: Any = None, ckpt_path: str | None = None, **kwargs: Any
    ) -> Any:
        """Evaluate on the test split; ``ckpt_path`` may be a delta checkpoint."""
        with _interrupts_rise():
            return super().test(model, dataloaders, ckpt_path=self._prepared(model, ckpt_path), **kwargs)

    def predict(  # type: ignore[override]
        self, model: Any = None, dataloaders: Any = None, ckpt_path: str | None = None, **kwargs: Any
    ) -> Any:
        """Predict; ``ckpt_path`` may be a delta checkpoint."""
        with _interrupts_rise():
            return super().predict(model, dataloaders, ckpt_path=self._prepared(model, ckpt_path), **kwargs)

    def _meet(self) -> None:
        """See that processes of several machines will find each other."""
        environment = getattr(self.strategy, "cluster_environment", None)
        if environment is not None and self.world_size > 1:
            check_main_address(environment, self.global_rank)

    def _prepared(self, model: Any, ckpt_path: str | None) -> str | None:
        """Build the network for ``ckpt_path``; the path that is left for Lightning to load."""
        self._meet()
        if not isinstance(model, TransferTask) or ckpt_path is None:
            return ckpt_path
        self.evaluated = ckpt_path = self._resolve(ckpt_path)
        if is_delta(ckpt_path):
            load_delta(model, ckpt_path)
            return None
        checkpoint = read_checkpoint(ckpt_path)
        check_compatible(model, checkpoint, ckpt_path)
        model.build(checkpoint[CHECKPOINT_KEY])
        return ckpt_path

    def _resolve(self, ckpt_path: str) -> str:
        """The file behind ``best`` and ``last``, as written by the fit before; any other path as it is."""
        if ckpt_path not in ("best", "last"):
            return ckpt_path
        path = self.best_checkpoint if ckpt_path == "best" else getattr(self.checkpoint_callback, "last_model_path", "")
        if not path:
            raise UserError(f"This run has written no {ckpt_path} checkpoint.\nGive --ckpt_path the path of one.")
        return path


@contextmanager
def _interrupts_rise() -> Iterator[None]:
    """Raise what interrupted a loop, in place of the SystemExit that Lightning makes of it."""
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _check_time_for_all(name: str, end: int, later: Sequence[Phase], max_epochs: int) -> None:
    """See that every phase gets an epoch, before the first of them trains.

    Args:
        name: of the phase that begins.
        end: the epoch that it may last until.
        later: phases after it.
        max_epochs: of all.

    Raises:
        UserError: one does not.
    """
    least = end + sum(1 if phase.epochs is None else phase.epochs for phase in later)
    for phase in later:
        if end >= max_epochs:
            raise UserError(
                f"Phase {name!r} may last until epoch {end}, and --trainer.max_epochs {max_epochs}\n"
                "counts all phases: no epoch would be left for the next one.\n"
                f"Give --trainer.max_epochs {least} or more, or the phases before the last fewer epochs."
            )
        if phase.epochs is None:
            return
        name, end = phase.name, end + phase.epochs
    if end > max_epochs:
        raise UserError(
            f"Phase {name!r} lasts until epoch {end}, and --trainer.max_epochs is {max_epochs}.\n"
            f"Set --trainer.max_epochs {end}"
        )
