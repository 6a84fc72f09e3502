"""The U-Net's decoder (Ronneberger et al. 2015), with batch normalisation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.segmentation.decoder import Decoder
from transfusion_cli.models.segmentation.layers import convolution, resized

FINEST, WIDEST = 16, 256
"""Channels at the image's own resolution; they double with each halving, up to so many."""


class UNetDecoder(Decoder):
    """Enlarges, joins the encoder's map of that resolution, and convolves twice; up to the image's own resolution.

    Names and shapes of the tensors are those that ``segmentation_models_pytorch`` gives its Unet, so that its
    checkpoints fit.

    Args:
        dims: 2 or 3.
        encoder: channels of the encoder's maps, fine first.
        halvings: how often the finest of them halves the image.
        channels: channels of each step, coarse first; the usual ones end at :data:`FINEST`.

    Raises:
        UserError: more or fewer channels than steps.
    """

    steps_name: ClassVar[str] = "blocks"

    def __init__(self, dims: int, encoder: Sequence[int], halvings: int, channels: Sequence[int] | None = None) -> None:
        super().__init__(dims, encoder, halvings, channels)
        skips = (*reversed(encoder[:-1]), *[0] * halvings)
        usual = tuple(min(FINEST * 2**i, WIDEST) for i in reversed(range(len(skips))))
        self.widths = usual if channels is None else tuple(channels)
        if len(self.widths) != len(skips):
            raise UserError(
                f"decoder_channels are {len(self.widths)} numbers, and over this backbone a U-Net has {len(skips)} "
                f"steps\nGive one a step, coarse first, such as {list(usual)}"
            )
        self.blocks = nn.ModuleList(
            UNetStep(dims, below + skip, width)
            for (below, width), skip in zip(pairwise((encoder[-1], *self.widths)), skips, strict=True)
        )

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Feature maps of every step, coarse first; the last has the image's size."""
        skips = [*reversed(maps[:-1]), *[None] * (len(self.blocks) - len(maps) + 1)]
        last, x, found = len(self.blocks) - 1, maps[-1], []
        for i, (step, skip) in enumerate(zip(self.blocks, skips, strict=True)):
            if skip is not None:
                x = torch.cat([resized(x, skip.shape[2:]), skip], dim=1)
            else:
                x = resized(x, size if i == last else _doubled(x, size))
            x = step(x)
            found.append(x)
        found[-1] = resized(x, size)
        return found


def _doubled(x: Tensor, size: Sequence[int]) -> list[int]:
    return [min(2 * side, whole) for side, whole in zip(x.shape[2:], size, strict=True)]


class UNetStep(nn.Module):
    """Two convolutions: (B, ``in_width``, *S) to (B, ``width``, *S)."""

    def __init__(self, dims: int, in_width: int, width: int) -> None:
        super().__init__()
        self.conv1 = convolution(dims, in_width, width)
        self.conv2 = convolution(dims, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the step."""
        maps: Tensor = self.conv2(self.conv1(x))
        return maps
