"""The last layer of each stage."""

from typing import Any

from torch import nn

ASIDE = frozenset({"downsample", "shortcut", "se", "attn"})
"""Parts of a block that stand beside its way, or weigh it: none of them is its last layer."""


def stage_ends(network: nn.Module) -> list[str]:
    """Names of the last convolution or linear layer of each stage that timm names (``feature_info``), in order.

    In a ResNet these are the last convolutions of the last blocks, ``layer1.2.conv3`` to ``layer4.2.conv3`` of a
    ResNet-50; in a ViT the last linear layers of the blocks, ``blocks.0.mlp.fc2`` and so on. Empty where timm names
    no stages.
    """
    info: Any = getattr(network, "feature_info", None) or []
    modules = dict(network.named_modules())
    stages = [entry["module"] for entry in getattr(info, "info", info)]
    ends = []
    for stage in dict.fromkeys(stages):
        layers = [
            f"{stage}.{name}"
            for name, layer in (modules[stage].named_modules() if stage in modules else ())
            if name and isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear) and not ASIDE & set(name.split("."))
        ]
        ends += layers[-1:]
    return ends
