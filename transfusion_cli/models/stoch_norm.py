"""StochNorm: batch normalisation that takes batch or moving statistics by chance (Kou et al. 2020)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm


class StochNorm(nn.Module):
    """One layer around a pretrained batch normalisation, of any number of axes.

    In training each channel is normalised either by the statistics of the batch, which move the running ones as ever,
    or by the running ones as they were before that step. ``by_batch`` says which; where it is None, and in evaluation,
    this is plain batch normalisation.

    Args:
        bn: the pretrained layer; it becomes the child ``bn``.
    """

    def __init__(self, bn: _BatchNorm) -> None:
        super().__init__()
        self.bn = bn
        self.by_batch: Tensor | None = None
        """(C,) which channels are normalised by the batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...), with the layer's activation where it has one."""
        normalised: Tensor
        if self.by_batch is None or not self.bn.training:
            normalised = self.bn(x)
            return normalised
        assert self.bn.running_mean is not None and self.bn.running_var is not None
        # copies, as the backward pass needs the statistics from before the batch moves them
        before = {"running_mean": self.bn.running_mean.clone(), "running_var": self.bn.running_var.clone()}
        self.bn.eval()
        try:
            by_moving = functional_call(self.bn, before, (x,))
        finally:
            self.bn.train()
        normalised = torch.where(self.by_batch.view(1, -1, *[1] * (x.ndim - 2)), self.bn(x), by_moving)
        return normalised


def stoch_norm_layers(network: nn.Module) -> dict[str, StochNorm]:
    """The StochNorm layers of a network by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, StochNorm)}


def convert_stoch_norm(network: nn.Module, names: Iterable[str]) -> None:
    """Put StochNorm layers around the named batch normalisations, in place."""
    for name in names:
        layer: _BatchNorm = network.get_submodule(name)  # type: ignore[assignment]
        network.set_submodule(name, StochNorm(layer).train(layer.training))


def merge_stoch_norm(network: nn.Module) -> None:
    """Put the batch normalisations back, in place; the outputs stay the same."""
    for name, layer in stoch_norm_layers(network).items():
        network.set_submodule(name, layer.bn)
