"""Low-rank updates of a layer's weight (LoRA, Hu et al. 2021, arXiv:2106.09685)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.models.adapter import Adapter


class LowRank(Adapter):
    """Adds ``scale * up(down(x))`` to the output of a linear layer or convolution.

    ``down`` is the layer with ``rank`` outputs, ``up`` is linear from there to its outputs, pixel by pixel. So the
    weight changes by ``scale * up @ down``, each with all but the first axis flattened. ``up`` starts at zero and the
    network as it was; ``down`` starts as peft has it, uniform with the bound sqrt(1 / inputs).

    Args:
        layer: the layer, without groups.
        rank: rank of the update.
        scale: factor of the update.
    """

    def __init__(self, layer: Any, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down: Any
        self.up: Any
        if isinstance(layer, nn.Linear):
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        else:
            kind, sizes = type(layer), (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            self.down = kind(layer.in_channels, rank, *sizes, bias=False)
            self.down.padding_mode = layer.padding_mode
            self.up = kind(rank, layer.out_channels, 1, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def after(self, host: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output with the update's."""
        return output + self.scale * self.up(self.down(inputs[0]))

    def change(self) -> Tensor:
        """What the update adds to the weight, in float64."""
        up, down = (layer.weight.double() for layer in (self.up, self.down))
        change: Tensor = self.scale * (up.flatten(1) @ down.flatten(1)).view(len(up), *down.shape[1:])
        return change

    @torch.no_grad()
    def merge(self, host: Any) -> None:
        """Put the update into the weight of ``host``, and leave it."""
        host.weight.copy_(host.weight.double() + self.change())
        self.detach(host)
