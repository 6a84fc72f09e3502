"""What a network says about itself: its head, the normalisation its weights expect, its input size."""

from itertools import cycle, islice
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import get_model_input_config, get_model_traits
from torch import nn

from transfusion_cli.errors import UserError


def pretrained_config(network: nn.Module) -> dict[str, Any]:
    """What timm knows about the weights of this network (a dictionary of its own, not of the architecture)."""
    config = getattr(network, "pretrained_cfg", None)
    return config if isinstance(config, dict) else {}


def classifier_names(network: nn.Module) -> tuple[str, ...]:
    """Where the architecture has its classifier, whether or not this network has one."""
    declared = pretrained_config(network).get("classifier") or ()
    return (declared,) if isinstance(declared, str) else tuple(declared)


def head_names(network: nn.Module) -> tuple[str, ...]:
    """Module names of the classifier, so that a parameter is the head's if it starts with one of them and a dot.

    Empty for a network without a classifier (``num_classes=0``). Several for distilled transformers.
    """
    parameters = [name for name, _ in network.named_parameters()]
    return tuple(
        name for name in classifier_names(network) if any(parameter.startswith(f"{name}.") for parameter in parameters)
    )


def in_head(name: str, heads: tuple[str, ...]) -> bool:
    """Whether the tensor called ``name`` belongs to one of the ``heads``."""
    return any(name.startswith(f"{head}.") for head in heads)


def first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d]:
    """Module name and layer of the convolution that sees the image.

    Raises:
        UserError: timm names none, or several.
    """
    name = get_model_traits(network).get("first_conv")
    layer = network.get_submodule(name) if isinstance(name, str) else None
    if not isinstance(layer, nn.Conv2d):
        raise UserError(f"a {type(network).__name__} has no single first convolution.")
    return str(name), layer


def input_size(network: nn.Module) -> tuple[int, int, int]:
    """(C, H, W) that the network was made for; a recommendation unless the architecture fixes it."""
    channels, height, width = get_model_input_config(network)["input_size"]
    return int(channels), int(height), int(width)


def normalisation(network: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per input channel that the weights expect, for images in [0, 1].

    A network adapted to one channel gets the mean over the channels of its weights, one adapted to more gets them
    repeated: the same rule by which the first convolution is adapted.
    """
    config, channels = pretrained_config(network), input_size(network)[0]
    mean = _per_channel(config.get("mean") or IMAGENET_DEFAULT_MEAN, channels)
    return mean, _per_channel(config.get("std") or IMAGENET_DEFAULT_STD, channels)


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(float(value) for value in islice(cycle(values), channels))
