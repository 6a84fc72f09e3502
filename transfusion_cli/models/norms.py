"""Finding the normalisation layers of a network, of every kind."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

TORCH = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""torch's own: batch and instance normalisation share a base."""

TIMM = frozenset({"timm.layers.norm", "timm.layers.evo_norm", "timm.layers.filter_response_norm"})
"""Modules of timm that define nothing but normalisation layers, some of which subclass none of torch's."""


def norm_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Every normalisation layer of the network by name, in module order.

    That is batch, instance, layer, group and RMS normalisation and timm's variants of them, those fused with an
    activation too, and the layer inside each AC-Norm layer. ConvNeXt V2's response normalisation is not counted: it
    adds to its input what it normalised, and is the identity where its scale and shift are 0.
    """
    return {name: module for name, module in network.named_modules() if is_norm(type(module))}


def is_norm(kind: type) -> bool:
    """Whether a class is that of a normalisation layer."""
    return issubclass(kind, TORCH) or any(base.__module__ in TIMM for base in kind.__mro__)


def has_affine(layer: nn.Module) -> bool:
    """Whether a normalisation layer has a scale and a shift for each channel."""
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    return weight is not None and bias is not None and weight.ndim == bias.ndim == 1
