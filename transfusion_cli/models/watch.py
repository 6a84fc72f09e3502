"""What passes through layers of a network, with its gradient."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn


class Watch:
    """Keeps what some layers gave in the latest forward pass of a network, until it is closed.

    Args:
        network: the network.
        layers: names of modules that give one tensor.
        training: watch passes in training mode alone, or those in evaluation mode.
        inputs: keep what the layers were given instead.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str], training: bool, inputs: bool = False) -> None:
        self.network, self.training = network, training
        self._seen: dict[str, Tensor] = {}
        hooks = {name: network.get_submodule(name) for name in layers}
        self._handles = [
            layer.register_forward_pre_hook(partial(self._see_input, name))
            if inputs
            else layer.register_forward_hook(partial(self._see_output, name))
            for name, layer in hooks.items()
        ]

    def take(self) -> dict[str, Tensor]:
        """What was seen, by layer; it is let go."""
        seen, self._seen = self._seen, {}
        return seen

    def close(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _see_input(self, name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.network.training == self.training:
            self._seen[name] = inputs[0]

    def _see_output(self, name: str, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if self.network.training == self.training:
            self._seen[name] = output.clone()  # what follows may write over it
