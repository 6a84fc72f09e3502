"""What an encoder gives to a decoder."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from timm.models import get_model_input_config
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import pretrained_config

SIDE = {2: 128, 3: 32}
"""Sides of the image that encoders are tried with: enough for the unpadded convolutions of Inception in a plane."""


@dataclass(frozen=True)
class EncoderMaps:
    """The feature maps of an encoder, one of each resolution, fine first.

    Args:
        indices: which of those that ``forward_intermediates`` gives.
        widths: their channels.
        halvings: how often the finest of them halves the image.
        multiple: what the sides of an image must be a multiple of; 1 where any size will do.
        unused: names of the encoder's parameters that none of the maps depends on (a last convolution before pooling).
    """

    indices: tuple[int, ...]
    widths: tuple[int, ...]
    halvings: int
    multiple: int
    unused: frozenset[str]

    @classmethod
    def of(cls, encoder: nn.Module, dims: int) -> "EncoderMaps":
        """Try an encoder with an empty image.

        Raises:
            UserError: it has no feature maps of several resolutions.
        """
        check_encoder(encoder)
        training, side = encoder.training, SIDE[dims]
        encoder.eval()
        try:
            # an odd side tells networks that add maps halved up and down
            found, unused = _try(encoder, dims, side + 1)
            any_size = True
        except RuntimeError:
            found, unused = _try(encoder, dims, side)
            any_size = False
        finally:
            encoder.train(training)
        # of several maps of one resolution the deepest knows most
        last = {tuple(maps.shape[2:]): index for index, maps in enumerate(found)}
        indices = sorted(last.values(), key=lambda index: (-found[index].shape[2:].numel(), index))
        if len(indices) < 2:
            raise _refused(encoder)
        finest, coarsest = (_halvings(found[index], side) for index in (indices[0], indices[-1]))
        widths = tuple(found[index].shape[1] for index in indices)
        return cls(tuple(indices), widths, finest, 1 if any_size else 2**coarsest, unused)


def check_encoder(encoder: nn.Module) -> None:
    """Refuse networks that a decoder cannot stand on.

    Raises:
        UserError: images of one size only, or no feature maps to be had.
    """
    if not hasattr(encoder, "forward_intermediates") or get_model_input_config(encoder)["fixed_input_size"]:
        raise _refused(encoder)


def _refused(encoder: nn.Module) -> UserError:
    name = pretrained_config(encoder).get("architecture", type(encoder).__name__)
    return UserError(
        f"{name} cannot be an encoder: it takes images of one size, or has no feature maps of several resolutions\n"
        "Choose a convolutional backbone: --model.backbone resnet34"
    )


def _try(encoder: Any, dims: int, side: int) -> tuple[list[Tensor], frozenset[str]]:
    named = dict(encoder.named_parameters())
    with torch.enable_grad():
        image = next(iter(named.values())).new_zeros(1, encoder.in_chans, *[side] * dims)
        found = encoder.forward_intermediates(image, intermediates_only=True)
        total = torch.stack([maps.float().sum() for maps in found]).sum()
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    unused = frozenset(name for name, gradient in zip(named, gradients, strict=True) if gradient is None)
    return [maps.detach() for maps in found], unused


def _halvings(maps: Tensor, side: int) -> int:
    return round(math.log2(side / max(1, max(maps.shape[2:]) - 1)))
