"""Telling a backbone by its weights."""

import re
from contextlib import suppress

import timm
import torch
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import dimensions, input_size, pretrained_config
from transfusion_cli.models.matching import Tensors, match
from transfusion_cli.models.volumes.swap import in_three_dimensions


def lookalike(network: nn.Module, weights: Tensors) -> str | None:
    """The backbone that weights were made with, if its name differs from the network's in numbers alone.

    That is ``resnet34`` for ``resnet18``, or ``vit_small_patch16_224`` for ``vit_small_patch32_384``.

    Args:
        network: which the weights do not fit.
        weights: tensors of the file.
    """
    name = pretrained_config(network)["architecture"]
    for other in timm.list_models(_kind(name)):
        if other == name or _kind(other) != _kind(name):
            continue
        with torch.device("meta"):
            candidate = timm.create_model(other, num_classes=1, in_chans=input_size(network)[0])
            if dimensions(network) > dimensions(candidate):
                with suppress(UserError):
                    in_three_dimensions(candidate)
        if match(candidate, other, weights).whole:
            return str(other)
    return None


def _kind(name: str) -> str:
    return re.sub(r"\d+", "*", name)
