"""The optimizer of a phase and its learning-rate schedule, from one checkpoint to the next."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.plan import Phase, parameter_groups
from transfusion_cli.tasks.network import Transferred
from transfusion_cli.tasks.optimizer_options import Options, apply_changed_options, plain_options
from transfusion_cli.tasks.schedules import WarmupCosine


class Optimisation:
    """Makes the optimizer and the schedule of each phase, and remembers what a resumed run needs of them.

    Args:
        optimizer: makes an optimizer of parameters.
        lr_scheduler: makes a schedule of an optimizer; None for a constant rate.

    Raises:
        UserError: a rate, or another option, is NaN or infinite.
    """

    def __init__(self, optimizer: Callable[..., Any], lr_scheduler: Callable[..., Any] | None) -> None:
        self._optimizer, self._lr_scheduler = optimizer, lr_scheduler
        self.monitor: str | None = None
        """The metric that the schedule watches, if it watches one."""
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._options: Options = []
        self._resumed_options: Options = []
        self._try_out()

    def _try_out(self) -> None:
        """Make both for a parameter that nobody needs, and step: their mistakes come to light before any data."""
        trial = self._optimizer([nn.Parameter(torch.zeros(1))])
        for key, value in trial.defaults.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(
                    f"{key} of the optimizer must be finite, not {value}.\nTry --model.optimizer.{key} 1e-3"
                )
        if self._lr_scheduler is None:
            return
        schedule = self._lr_scheduler(trial)
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

    def optimizer(self, own: Transferred, phase: Phase) -> torch.optim.Optimizer:
        """A fresh optimizer that holds exactly a phase's parameters, in named groups."""
        defaults = self._optimizer([nn.Parameter(torch.zeros(1))]).defaults
        groups = parameter_groups(
            own.network,
            phase,
            own.parts,
            lr=float(defaults["lr"]),
            weight_decay=float(defaults.get("weight_decay", 0.0)),
        )
        optimizer: torch.optim.Optimizer = self._optimizer(groups)
        return optimizer

    def configure(self, own: Transferred, phase: Phase, steps: Callable[[], int]) -> Any:
        """The optimizer of a phase with its schedule, if any.

        Args:
            own: the network.
            phase: what trains.
            steps: optimizer steps of the phase, asked for by schedules that are as long.
        """
        optimizer = self.optimizer(own, phase)
        self._options = plain_options(optimizer)
        self._plateau = None
        if self._lr_scheduler is None:
            return optimizer
        schedule = self._lr_scheduler(optimizer)
        if isinstance(schedule, ReduceLROnPlateau):
            # Lightning steps it after the checkpoint is written, which a resumed run would miss.
            self._plateau = schedule
            if self._plateau_state is not None:
                schedule.load_state_dict(self._plateau_state)
            return optimizer
        interval = "epoch"
        if isinstance(schedule, WarmupCosine):
            interval = "step"
            schedule.fit_to(max(1, steps()))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}

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
