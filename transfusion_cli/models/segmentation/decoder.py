"""What a decoder is."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from transfusion_cli.errors import UserError


class Decoder(nn.Module):
    """Turns the feature maps of an encoder into one of the image's own resolution, step by step.

    A subclass makes its ``steps``, coarse first, and fills ``widths`` with the channels that each gives.

    Args:
        dims: 2 or 3.
        encoder: channels of the encoder's maps, fine first.
        halvings: how often the finest of them halves the image.
        channels: widths asked for; None takes the decoder's own.

    Raises:
        UserError: widths that do not fit.
    """

    widths: tuple[int, ...]
    steps_name: ClassVar[str]
    """The child that holds the steps: networks of other decoders must not fit by chance."""

    def __init__(self, dims: int, encoder: Sequence[int], halvings: int, channels: Sequence[int] | None = None) -> None:
        super().__init__()
        if channels is not None and min(channels, default=0) < 1:
            raise UserError(f"decoder_channels are numbers over 0, not {list(channels)}\nLeave them out for the usual")

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Feature maps of every step, coarse first.

        Args:
            maps: of the encoder, fine first, each (B, C, *S).
            size: the image's.
        """
        raise NotImplementedError

    @property
    def step_names(self) -> tuple[str, ...]:
        """Module names of the steps, coarse first."""
        return tuple(f"{self.steps_name}.{i}" for i in range(len(self.widths)))
