"""A feature pyramid as the decoder (Kirillov et al. 2019, 1901.02446), lighter than a U-Net."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.segmentation.decoder import Decoder
from transfusion_cli.models.segmentation.layers import BATCH_NORM, CONVOLUTION, convolution, resized

WIDTH = 64


class FPNDecoder(Decoder):
    """Adds the encoder's maps from coarse to fine, all in one width, convolves each sum, and adds up what comes out.

    It ends at the resolution of the encoder's finest map.

    Args:
        dims: 2 or 3.
        encoder: channels of the encoder's maps, fine first.
        halvings: not needed.
        channels: the width of the pyramid, once or once a level.

    Raises:
        UserError: several widths.
    """

    steps_name: ClassVar[str] = "levels"

    def __init__(self, dims: int, encoder: Sequence[int], halvings: int, channels: Sequence[int] | None = None) -> None:
        super().__init__(dims, encoder, halvings, channels)
        (width, *others) = sorted(set(channels or [WIDTH]))
        if others:
            raise UserError(f"A feature pyramid has one width, not {1 + len(others)}\nTry decoder_channels [{width}]")
        self.widths = (width,) * len(encoder)
        self.levels = nn.ModuleList(FPNLevel(dims, in_width, width) for in_width in reversed(encoder))

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Feature maps of every level, coarse first; the last is the sum of them all."""
        found: list[Tensor] = []
        above: Tensor | None = None
        for level, skip in zip(self.levels, reversed(maps), strict=True):
            above, smooth = level(skip, above)
            found.append(smooth)
        finest = found[-1].shape[2:]
        found[-1] = torch.stack([resized(smooth, finest) for smooth in found]).sum(0)
        return found


class FPNLevel(nn.Module):
    """Brings the encoder's map to the common width, adds the level above, and convolves."""

    def __init__(self, dims: int, in_width: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Sequential(CONVOLUTION[dims](in_width, width, 1, bias=False), BATCH_NORM[dims](width))
        self.smooth = convolution(dims, width, width)

    def forward(self, maps: Tensor, above: Tensor | None) -> tuple[Tensor, Tensor]:
        """The sum so far and what is made of it, from a map (B, ``in_width``, *S) and the sum of the level above."""
        own: Tensor = self.lateral(maps)
        total = own if above is None else own + resized(above, own.shape[2:])
        return total, self.smooth(total)
