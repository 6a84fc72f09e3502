"""The optimizer of a phase and its learning-rate schedule, from one checkpoint to the next."""

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.plan import parameter_groups
from transfusion_cli.tasks.optimizer_options import Options, apply_changed_options, plain_options
from transfusion_cli.tasks.schedules import WarmupCosine

if TYPE_CHECKING:
    from transfusion_cli.tasks.base import TransferTask


class Optimisation:
    """Makes the optimizer and the schedule of each phase, and remembers what a resumed run needs of them.

    Args:
        optimizer: makes an optimizer of parameters.
        lr_scheduler: makes a schedule of an optimizer; None for a constant rate.

    Raises:
        UserError: a rate, or another option, is NaN or infinite.
    """

    def __init__(self, optimizer: Callable[..., Any], lr_scheduler: Callable[..., Any] | None) -> None:
        self.monitor: str | None = None
        """The metric that the schedule watches, if it watches one."""
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._options: Options = []
        self._resumed_options: Options = []
        self._try_out(optimizer, lr_scheduler)

    def _try_out(self, optimizer: Callable[..., Any], lr_scheduler: Callable[..., Any] | None) -> None:
        """Make both for a parameter that nobody needs, and step: their mistakes come to light before any data."""
        trial = optimizer([nn.Parameter(torch.zeros(1))])
        for key, value in trial.defaults.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(
                    f"{key} of the optimizer must be finite, not {value}.\nTry --model.optimizer.{key} 1e-3"
                )
        if lr_scheduler is None:
            return
        schedule = lr_scheduler(trial)
        if isinstance(schedule, ReduceLROnPlateau):
            self.monitor = getattr(schedule, "monitor", "val/loss")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the optimizer should step first
            try:
                schedule.step()
            except (ArithmeticError, ValueError) as error:
                raise UserError(f"{type(schedule).__name__} fails at its first step: {error}.") from error

    def start_phase(self) -> None:
        """Forget what a checkpoint said of an earlier phase."""
        self._plateau_state = None
        self._resumed_options = []

    def configure(self, task: "TransferTask") -> Any:
        """A fresh optimizer that holds exactly the phase's parameters, in named groups, with its schedule if any."""
        defaults = task.optimizer([nn.Parameter(torch.zeros(1))]).defaults
        groups = parameter_groups(
            task.network,
            task.phase,
            task.transferred.parts,
            lr=float(defaults["lr"]),
            weight_decay=float(defaults.get("weight_decay", 0.0)),
        )
        optimizer = task.optimizer(groups)
        self._options = plain_options(optimizer)
        self._plateau = None
        if task.lr_scheduler is None:
            return optimizer
        schedule = self._schedule(task, optimizer)
        if isinstance(schedule, ReduceLROnPlateau):
            # Lightning steps it after the checkpoint is written, which a resumed run would miss.
            self._plateau = schedule
            if self._plateau_state is not None:
                schedule.load_state_dict(self._plateau_state)
            return optimizer
        interval = "step" if isinstance(schedule, WarmupCosine) else "epoch"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}

    @staticmethod
    def _schedule(task: "TransferTask", optimizer: torch.optim.Optimizer) -> Any:
        assert task.lr_scheduler is not None
        make: Callable[..., Any] = task.lr_scheduler
        schedule = make(optimizer)
        if isinstance(schedule, WarmupCosine):
            schedule.fit_to(max(1, int(task.trainer.estimated_stepping_batches) - task.phase_start_step))
        return schedule

    def take_up_changes(self, optimizer: torch.optim.Optimizer, schedules: list[Any]) -> None:
        """Let a resumed run follow options that were changed since, once its optimizer has been restored."""
        apply_changed_options(optimizer, schedules, self._resumed_options, self._options)
        self._resumed_options = []

    def step_plateau(self, metrics: dict[str, float]) -> None:
        """Let a plateau schedule see validation metrics.

        Raises:
            UserError: it watches one that is not measured.
        """
        if self._plateau is None:
            return
        if self.monitor not in metrics:
            raise UserError(
                f"The learning-rate schedule watches {self.monitor!r}, which is not measured.\n"
                f"Choose one of {', '.join(sorted(key for key in metrics if key.count('/') == 1))}."
            )
        self._plateau.step(metrics[self.monitor])

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the optimizer's own state."""
        return {"optimizer": self._options, "plateau": None if self._plateau is None else self._plateau.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of ``state``."""
        self._plateau_state, self._resumed_options = state["plateau"], state["optimizer"]
