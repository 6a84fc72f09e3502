"""What kind of thing a layer is part of, and which layers an adapter can be put to."""

import re
from collections.abc import Collection
from typing import Literal, get_args

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.linear import Linear
from torch import nn

from transfusion_cli.models.facts import decoder_names, head_names, in_head, input_size
from transfusion_cli.models.volumes.layers import Conv3dSame

Kind = Literal["attention", "mlp", "convolution"]
KINDS: tuple[Kind, ...] = get_args(Kind)

PARTS: dict[Kind, re.Pattern[str]] = {
    "attention": re.compile("Attention|Attn"),
    "mlp": re.compile("Mlp(?!ClassifierHead)|SwiGLU|FeedForward"),
}
"""Names of classes, as timm has them, in which a layer is of that kind; the nearest around it says."""

LINEAR = frozenset({nn.Linear, Linear})
CONVOLUTIONS = frozenset({nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv2dSame, Conv3dSame})
"""Layers whose output is linear in their weight. Subclasses are none: some standardise it first."""


def kinds(network: nn.Module) -> dict[str, Kind]:
    """The kind of each linear layer and convolution by name; linear layers outside of both parts have none."""
    part_of: dict[str, Kind | None] = {}
    found: dict[str, Kind] = {}
    for name, module in network.named_modules():  # parents before children
        text = type(module).__name__
        own = next((part for part, pattern in PARTS.items() if name and pattern.search(text)), None)
        part = part_of[name] = own or part_of.get(name.rpartition(".")[0])
        if type(module) in LINEAR | CONVOLUTIONS and (part or type(module) in CONVOLUTIONS):
            found[name] = part or "convolution"
    return found


def mlps(network: nn.Module) -> list[str]:
    """Names of the modules that are MLPs."""
    return [name for name, module in network.named_modules() if name and PARTS["mlp"].search(type(module).__name__)]


def adaptable(network: nn.Module, pretrained: Collection[str]) -> dict[str, nn.Module]:
    """Modules by name that an adapter can be put to.

    These are outside of the head, and of a decoder that was not carried over, since both train whole; they run when
    the network does, as some layers have their weight read instead (BEiT's queries, keys and values); and
    the outputs depend on them.

    Args:
        network: the network, which sees one blank image.
        pretrained: state-dict names that came from the source.
    """
    heads, decoder = head_names(network), decoder_names(network)
    unused: Collection[str] = getattr(network, "unused", ())
    running = _running(network)
    return {
        name: module
        for name, module in network.named_modules()
        if name in running
        and not in_head(f"{name}.", heads)
        and not (in_head(f"{name}.", decoder) and f"{name}.weight" not in pretrained)
        and f"{name}.weight" not in unused
    }


@torch.no_grad()
def _running(network: nn.Module) -> set[str]:
    seen: set[str] = set()
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: seen.add(name))
        for name, module in network.named_modules()
        if name
    ]
    training, weight = network.training, next(network.parameters())
    network.eval()
    try:
        network(weight.new_zeros(1, *input_size(network)))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return seen
