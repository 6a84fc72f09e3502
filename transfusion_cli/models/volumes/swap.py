"""Any of timm's tested convolutional networks in three dimensions, by another class for each layer."""

import math
from collections.abc import Collection

from timm.layers.adaptive_avgmax_pool import (
    FastAdaptiveAvgMaxPool,
    FastAdaptiveAvgPool,
    FastAdaptiveCatAvgMaxPool,
    FastAdaptiveMaxPool,
)
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import pretrained_config
from transfusion_cli.models.volumes.inflate import Inflation, inflate, redrawn
from transfusion_cli.models.volumes.layers import SPACE, TWINS

POINTWISE = {
    *("Identity", "Sequential", "ModuleList", "Flatten", "Linear", "Dropout", "ReLU", "ReLU6", "LeakyReLU", "GELU"),
    *("SiLU", "Sigmoid", "Hardswish", "HardSwish", "Hardsigmoid", "HardSigmoid"),
}
"""What knows no axes."""

KNOWN = {
    "torch.nn": POINTWISE,
    "timm.layers": POINTWISE | {"ClassifierHead", "SelectAdaptivePool2d", "ConvNormAct", "DropPath"},
    "timm.models.resnet": {"ResNet", "BasicBlock", "Bottleneck"},
    "timm.models.resnetv2": {
        *("ResNetV2", "ResNetStage", "PreActBasic", "PreActBottleneck", "DownsampleConv", "DownsampleAvg"),
    },
    "timm.models.densenet": {"DenseNet", "DenseBlock", "DenseLayer", "DenseTransition"},
    "timm.models.regnet": {"RegNet", "RegStage", "Bottleneck", "PreBottleneck"},
    "timm.models.efficientnet": {"EfficientNet"},
    "timm.models.mobilenetv3": {"MobileNetV3"},
    "timm.models._efficientnet_blocks": {
        *("ConvBnAct", "DepthwiseSeparableConv", "InvertedResidual", "EdgeResidual", "UniversalInvertedResidual"),
    },
    "transfusion_cli.models": {"CifarResNet", "BasicBlock", "CBRNet", "CBRBlock", "PaddedShortcut"},
}
"""What is made of other modules and treats axes alike: those that tests compare with their 2-D network. Many others
run in three dimensions too, and some of them compute something else without a word."""

FAST_POOLS = (FastAdaptiveAvgPool, FastAdaptiveMaxPool, FastAdaptiveAvgMaxPool, FastAdaptiveCatAvgMaxPool)

PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_size", "output_padding")
"""Attributes of layers that hold a number for each axis."""

FAMILIES = "resnet*, resnext*, seresnet*, densenet*, efficientnet*, mobilenetv3*, regnet*, cifar_resnet*, medicalnet_*"


def in_three_dimensions(
    network: nn.Module, mode: Inflation = "centre", carried: Collection[str] = frozenset()
) -> nn.Module:
    """Make a network take volumes (B, C, D, H, W) instead of images, in place.

    Names of tensors, stages and what timm knows of the network stay. Kernels, strides and paddings in depth are those
    of the other two axes (the smaller, where they differ). A network that takes volumes already stays as it is.

    Args:
        network: made by timm.
        mode: how kernels that were ``carried`` over enter.
        carried: names of the tensors that are pretrained; other kernels are drawn anew, for three dimensions.

    Raises:
        UserError: it holds a layer that is not known in three dimensions.
    """
    _check(network)
    config = pretrained_config(network)
    if config and len(config.get("input_size", ())) == 3:
        channels, height, width = config["input_size"]
        config["input_size"] = (channels, *(3 * (_side(height * width),)))
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            _deepen(layer, mode if f"{name}.weight" in carried else None)
        if isinstance(layer, FAST_POOLS):
            layer.dim = layer.dim_reduce = SPACE
        if twin := TWINS.get(type(layer)):
            for attribute in PAIRS:
                value = getattr(layer, attribute, None)
                if isinstance(value, tuple) and len(value) == 2:
                    setattr(layer, attribute, (min(value), *value))
            # the same object with its tensors, hooks and mode: nothing that somebody holds of it goes stale
            layer.__class__ = twin
    return network


def _deepen(layer: nn.Conv2d, mode: Inflation | None) -> None:
    kernel, depth = layer.weight.detach(), min(layer.kernel_size)
    inflated = redrawn(kernel, depth) if mode is None else inflate(kernel, depth, mode)
    layer.weight = nn.Parameter(inflated, requires_grad=layer.weight.requires_grad)
    before = layer._reversed_padding_repeated_twice  # which padding modes other than zeros read
    layer._reversed_padding_repeated_twice = [*before, min(before), min(before)]


def _side(pixels: int) -> int:
    """Side of the cube, in steps of 32, that has about as many voxels as an image has pixels."""
    return max(32, 32 * round(math.cbrt(pixels) / 32))


def _check(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if not _known(type(module)):
            architecture = pretrained_config(network).get("architecture", type(network).__name__)
            layer = f"{type(module).__name__} ({name})" if name else type(module).__name__
            raise UserError(
                f"{architecture} cannot take volumes: its {layer} is not known in three dimensions\n"
                f"Take one of {FAMILIES}"
            )


def _known(kind: type[nn.Module]) -> bool:
    if kind in TWINS or kind in TWINS.values() or kind in FAST_POOLS:
        return True
    return any(
        f"{kind.__module__}.".startswith(f"{place}.") and kind.__name__ in names for place, names in KNOWN.items()
    )
