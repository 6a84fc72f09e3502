"""A scale and a shift of each channel of what a layer gives (SSF, Lian et al. 2022, arXiv:2210.08823)."""

from typing import Any, Self

import torch
from timm.layers.filter_response_norm import FilterResponseNormAct2d, FilterResponseNormTlu2d
from torch import Tensor, nn

from transfusion_cli.models.adapter import Adapter
from transfusion_cli.models.layer_kinds import CONVOLUTIONS, LINEAR
from transfusion_cli.models.norms import is_norm

CHANNELS_LAST = (nn.LayerNorm, nn.RMSNorm)


class ScaleShift(Adapter):
    """Multiplies each channel of a layer's output by a scale and adds a shift.

    A layer without a bias gets no shift: the merged layer would have one, which its architecture does not know. Of a
    layer fused with an activation, that follows.

    Args:
        layer: one that ``can_be_scaled``.
        std: of the normal numbers that the scale, around 1, and the shift, around 0, start from.
    """

    shift: nn.Parameter | None

    def __init__(self, layer: Any, std: float) -> None:
        super().__init__()
        channels = len(layer.weight)
        self.axis = -1 if _channels_are_last(layer) else 1
        self.scale = nn.Parameter(torch.empty(channels).normal_(1, std))
        has_bias = getattr(layer, "bias", None) is not None
        self.register_parameter("shift", nn.Parameter(torch.empty(channels).normal_(0, std)) if has_bias else None)

    def attach(self, host: Any) -> Self:
        """As of any adapter, but between a normalisation and the activation that timm fused with it."""
        super().attach(host)
        if isinstance(getattr(host, "drop", None), nn.Module):
            self.hooks.pop().remove()
            self.hooks.append(host.drop.register_forward_pre_hook(self._between))
        return self

    def after(self, host: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output, scaled and shifted."""
        return self._of(output)

    def _between(self, drop: nn.Module, inputs: tuple[Any, ...]) -> Any:
        return self._of(inputs[0])

    def _of(self, x: Tensor) -> Tensor:
        shape = [1] * x.ndim
        shape[self.axis] = -1
        scaled = x * self.scale.view(shape)
        return scaled if self.shift is None else scaled + self.shift.view(shape)

    @torch.no_grad()
    def merge(self, host: Any) -> None:
        """Put scale and shift into weight and bias of ``host``, and leave it."""
        host.weight.mul_(self.scale.view(-1, *[1] * (host.weight.ndim - 1)))
        if self.shift is not None:
            host.bias.mul_(self.scale).add_(self.shift)
        self.detach(host)


def can_be_scaled(layer: Any) -> bool:
    """Whether the output is affine in weight and bias, one of each for a channel: what scale and shift merge into."""
    if type(layer) in LINEAR | CONVOLUTIONS:
        return True
    own = getattr(layer, "weight", None)
    late = isinstance(layer, FilterResponseNormAct2d | FilterResponseNormTlu2d)  # activation and all in one function
    return is_norm(type(layer)) and own is not None and own.ndim == 1 and not late


def _channels_are_last(layer: nn.Module) -> bool:
    name = type(layer).__name__
    last = isinstance(layer, CHANNELS_LAST) or name.startswith(("RmsNorm", "SimpleNorm"))
    return type(layer) in LINEAR or (last and "2d" not in name)
