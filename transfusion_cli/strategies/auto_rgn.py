"""Learning rates of tensors by how much their gradients ask for."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from transfusion_cli.strategies.base import TransferStrategy


class AutoRGN(TransferStrategy):
    """Multiply the rate of each tensor by its relative gradient norm over the largest (Auto-RGN, Lee et al. 2023).

    In each optimizer step a tensor w with gradient g has the factor ``(|g| / |w|) / max(|g| / |w|)``. What is new, such
    as the head, has no weights to be relative to: it trains at the full rate and has no part in the maximum. So it is
    with tensors of zeros. It says nothing of what trains, and goes with any strategy that does, such as
    ``[FullFineTuning, AutoRGN]``.

    The published code measures the norms on five batches before each epoch, makes a new Adam each time, and leaves
    BatchNorm's scale and shift untrained. Here they are those of the step itself, however it is spread over processes
    and batches: no further pass over data, and nothing for a checkpoint to keep.

    The factor is applied to what the optimizer did, which is exact for all whose steps are proportional to the rate,
    with momentum and decoupled weight decay too. That costs a copy of the weights that train, and reading them and
    their gradients once more in a step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters: list[Tensor] = []
        self._step: list[tuple[Tensor, Tensor, Tensor]] = []  # parameter, what it was before, factor

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have every step of this phase's optimizer followed by ``_scale``."""
        task: Any = pl_module
        old = set(task.phase.trainable) - set(task.transferred.parts.new)
        self._parameters = [parameter for name, parameter in task.network.named_parameters() if name in old]
        trainer.optimizers[0].register_step_post_hook(self._scale)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure the factors and keep the weights; all processes have the same gradients by now."""
        moving = [parameter for parameter in self._parameters if parameter.grad is not None]
        if moving:
            before = [parameter.detach().clone() for parameter in moving]
            self._step = list(zip(moving, before, relative_gradient_norms(moving).unbind(), strict=True))

    def _scale(self, *_: Any) -> None:
        """Go only as far as the factors say."""
        with torch.no_grad():
            for parameter, before, factor in self._step:
                parameter.copy_(torch.lerp(before, parameter, factor.to(parameter)))
        self._step = []


def relative_gradient_norms(parameters: list[Any]) -> Tensor:
    """Norm of the gradient over norm of the tensor, over the largest such ratio; 1 for tensors of zeros.

    Args:
        parameters: P tensors with gradients.

    Returns:
        (P,), each in [0, 1]; zero for tensors whose gradient is zero, or none at all.
    """
    norms = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters]))
    ratios = torch.stack(torch._foreach_norm([parameter.grad for parameter in parameters])) / norms
    largest = torch.where(norms > 0, ratios, 0.0).max()
    return torch.where(norms > 0, ratios / largest, 1.0).nan_to_num(0.0)
