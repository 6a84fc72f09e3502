"""Weights averaged over the steps of training, evaluated and kept in place of the last ones."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from transfusion_cli.errors import UserError

RAW = "raw_weights"
"""Where a checkpoint keeps the weights that training goes on from; those of ``state_dict`` are averaged."""


class WeightAverage(pl.Callback):
    """An exponential moving average of the weights of a ``TransferTask`` (Polyak & Juditsky 1992).

    After step t of a phase the average is ``d a + (1 - d) w`` with ``d = min(decay, (t - 1) / (t + 8))``: a short run
    is not averaged with what it started from. Validation within training, checkpoints and with them the delta have the
    averaged weights; training goes on with the raw ones, which a checkpoint keeps beside. Like optimizer and schedule
    the average starts afresh in each phase.

    What a phase trains is averaged, and so are the running statistics of the BatchNorm layers that move: they change
    with the weights, to first order linearly, so that their average is what the averaged weights would gather. All
    else stays bit-identical. It costs a copy of what is averaged, and one more during validation.

    Lightning's ``WeightAveraging`` puts the average into the weights between two phases, and is a step behind in what
    ``Interruption`` saves; it and timm's ``ModelEmaV3`` copy the frozen parts too.

    Args:
        decay: share of the average that stays in a step, in [0, 1).

    Raises:
        UserError: ``decay`` is no such share.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise UserError(f"ema is a share, 0 or more and below 1, not {decay}.\nTry --model.ema 0.999")
        self.decay = decay
        self._updates = 0
        self._average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}  # while the network has the averaged weights
        self._loaded: dict[str, Any] | None = None

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """See what training goes on from; an evaluation has what it needs."""
        self._loaded = checkpoint.get(RAW) if trainer.state.fn == "fit" else None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a phase, or go on in one: the checkpoint's averaged weights are in the network by now."""
        self._updates, self._average, self._raw = 0, {}, {}
        if self._loaded is not None:
            self._updates, raw = self._loaded["updates"], self._loaded["weights"]
            self._average = self._exchange(pl_module, raw)
            self._loaded = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have every step of this phase's optimizer followed by an update.

        Raises:
            UserError: the weights are too coarse to be averaged.
        """
        tensors = _averaged(pl_module)
        if any(tensor.dtype.itemsize < 4 for tensor in tensors.values()):
            raise UserError(
                "--model.ema needs weights of 32 bits: small steps of an average are lost in 16.\n"
                "Try --trainer.precision bf16-mixed"
            )
        # Not in on_train_batch_end, where another callback may already have saved.
        trainer.optimizers[0].register_step_post_hook(lambda *_: self._update(tensors))

    @torch.no_grad()
    def _update(self, tensors: dict[str, Tensor]) -> None:
        self._updates += 1
        if not self._average:
            self._average = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        decay = min(self.decay, (self._updates - 1) / (self._updates + 8))
        torch._foreach_lerp_([self._average[name] for name in tensors], list(tensors.values()), 1 - decay)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the averaged weights."""
        if trainer.state.fn == "fit":
            self.finish(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the raw ones."""
        if trainer.state.fn == "fit":
            self._exchange(pl_module, self._raw)
            self._raw = {}

    def finish(self, task: pl.LightningModule) -> None:
        """Leave the averaged weights in the network."""
        self._raw = self._exchange(task, self._average)

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Let a checkpoint have the averaged weights, and the raw ones beside."""
        if self._average:
            state = checkpoint["state_dict"]
            raw = {name: self._raw.get(name, state[name]) for name in self._average}
            checkpoint["state_dict"] = {**state, **self._average}
            checkpoint[RAW] = {"updates": self._updates, "weights": raw}

    @staticmethod
    @torch.no_grad()
    def _exchange(task: pl.LightningModule, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Write tensors into a task; what was there before."""
        present = _tensors(task)
        before = {name: present[name].detach().clone() for name in tensors}
        for name, tensor in tensors.items():
            present[name].copy_(tensor)
        return before


def _tensors(task: pl.LightningModule) -> dict[str, Tensor]:
    return {**dict(task.named_parameters()), **dict(task.named_buffers())}


def _averaged(task: Any) -> dict[str, Tensor]:
    """Parameters and running statistics that change in the task's phase."""
    moving = task.phase.moving(task.transferred.parts)
    statistics = {f"network.{layer}.{name}" for layer in moving for name in ("running_mean", "running_var")}
    names = statistics.union(f"network.{name}" for name in task.phase.trainable)
    return {name: tensor for name, tensor in _tensors(task).items() if name in names}
