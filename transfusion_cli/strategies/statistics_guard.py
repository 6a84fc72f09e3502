"""Keep an overflowing half-precision batch out of BatchNorm's running statistics."""

import torch
from torch import nn

from transfusion_cli.models.batch_norm import batch_norm_layers


class StatisticsGuard:
    """Takes back running statistics that a batch made non-finite.

    Under 16-bit autocast a batch may overflow; the gradient scaler then skips the optimizer step, but BatchNorm
    has already written inf or NaN into its running statistics, where it stays (pytorch issue 88474).

    Args:
        network: the network whose BatchNorm layers are guarded.
    """

    def __init__(self, network: nn.Module) -> None:
        self._statistics = [
            statistic
            for layer in batch_norm_layers(network).values()
            for statistic in (layer.running_mean, layer.running_var)
            if statistic is not None
        ]
        self._kept = [statistic.clone() for statistic in self._statistics]

    def remember(self) -> None:
        """Keep the present statistics; call before the forward pass."""
        torch._foreach_copy_(self._kept, self._statistics)

    def repair(self) -> None:
        """Restore every statistic that is no longer finite; call after the backward pass.

        Stays on the device: nothing waits for the result.
        """
        for statistic, kept in zip(self._statistics, self._kept, strict=True):
            statistic.copy_(torch.where(statistic.isfinite().all(), statistic, kept))
