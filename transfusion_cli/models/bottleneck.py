"""A narrow branch beside an MLP (AdaptFormer, Chen et al. 2022, arXiv:2205.13535)."""

import math
from typing import Any

from torch import nn

from transfusion_cli.models.adapter import Adapter
from transfusion_cli.models.layer_kinds import CONVOLUTIONS, LINEAR


class Bottleneck(Adapter):
    """Adds ``scale * up(relu(down(x)))`` to what an MLP gives for x, with biases; ``up`` starts at zero.

    Args:
        mlp: one that ``is_pointwise``.
        width: outputs of ``down``.
        scale: factor of the branch.
    """

    def __init__(self, mlp: nn.Module, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        first, last = _ends(mlp)
        self.down = _pointwise(first, first.weight.shape[1], width)
        self.up = _pointwise(last, width, len(last.weight))
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def after(self, host: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output with the branch's."""
        return output + self.scale * self.up(self.down(inputs[0]).relu())


def is_pointwise(mlp: nn.Module) -> bool:
    """Whether it begins and ends with layers that see one place each, so that a branch of such layers fits beside."""
    ends = _ends(mlp)
    return bool(ends) and all(_sees_one_place(layer) for layer in ends) and type(ends[0]) is type(ends[1])


def _ends(mlp: nn.Module) -> Any:
    layers = [layer for layer in mlp.modules() if type(layer) in LINEAR | CONVOLUTIONS]
    return (layers[0], layers[-1]) if len(layers) > 1 else ()


def _sees_one_place(layer: Any) -> bool:
    return type(layer) in LINEAR or (set(layer.kernel_size) == set(layer.stride) == {1} and layer.groups == 1)


def _pointwise(like: Any, inputs: int, outputs: int) -> Any:
    return nn.Linear(inputs, outputs) if type(like) in LINEAR else type(like)(inputs, outputs, 1)
