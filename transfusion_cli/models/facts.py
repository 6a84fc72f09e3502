"""What a network says about itself: its head, the normalisation its weights expect, its input size."""

from collections.abc import Collection
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


def decoder_names(network: nn.Module) -> tuple[str, ...]:
    """Module names of a segmentation network's decoder, a stage each, coarse first; empty for a classifier."""
    return tuple(getattr(network, "decoder_names", ()))


def encoder_of(network: nn.Module) -> tuple[str, nn.Module]:
    """The timm network in a segmentation network and the beginning of its names there; else the network itself."""
    name = getattr(network, "encoder_name", "")
    return (f"{name}.", network.get_submodule(name)) if name else ("", network)


def in_head(name: str, heads: tuple[str, ...]) -> bool:
    """Whether the tensor called ``name`` belongs to one of the ``heads``."""
    return any(name.startswith(f"{head}.") for head in heads)


def whole_modules(network: nn.Module, tensors: Collection[str]) -> list[str]:
    """The outermost modules all of whose tensors are among ``tensors``, and which have some."""
    among = set(tensors)
    found: list[str] = []
    for name, module in network.named_modules():
        own = {f"{name}.{tensor}" for tensor in module.state_dict()}
        if name and own and own <= among and not in_head(name, tuple(found)):
            found.append(name)
    return found


def dimensions(network: nn.Module) -> int:
    """2 for networks that take images, 3 for those that take volumes."""
    return 3 if any(isinstance(module, nn.Conv3d) for module in network.modules()) else 2


def first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d | nn.Conv3d]:
    """Module name and layer of the convolution that sees the image.

    Raises:
        UserError: timm names none, or several.
    """
    name = get_model_traits(network).get("first_conv")
    layer = network.get_submodule(name) if isinstance(name, str) else None
    if not isinstance(layer, nn.Conv2d | nn.Conv3d):
        raise UserError(f"a {type(network).__name__} has no single first convolution.")
    return str(name), layer


def input_size(network: nn.Module) -> tuple[int, ...]:
    """(C, H, W) or (C, D, H, W) that the network was made for; a recommendation unless the architecture fixes it."""
    channels, *sides = get_model_input_config(network)["input_size"]
    if dimensions(network) == 3:
        sides = pretrained_config(network)["input_size"][1:]  # timm reads the last two
    return int(channels), *(int(side) for side in sides)


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
