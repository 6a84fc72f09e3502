"""Encoder, decoder, head."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from timm.models import get_model_traits
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import pretrained_config
from transfusion_cli.models.segmentation.decoder import Decoder
from transfusion_cli.models.segmentation.fpn import FPNDecoder
from transfusion_cli.models.segmentation.layers import CONVOLUTION, DROPOUT, LINEAR
from transfusion_cli.models.segmentation.maps import EncoderMaps
from transfusion_cli.models.segmentation.unet import UNetDecoder
from transfusion_cli.suggest import did_you_mean

DECODERS: dict[str, type[Decoder]] = {"unet": UNetDecoder, "fpn": FPNDecoder}


class SegmentationNetwork(nn.Module):
    """A whole timm network as the encoder, a decoder, and a head of 1 x 1 convolutions.

    Tensors are named ``encoder.<timm's name>``, ``decoder.…`` and ``head.…``. It says of itself what a timm network
    says: ``pretrained_cfg`` and traits are the encoder's, with names that hold here.

    Args:
        encoder: with ``forward_intermediates`` and without a classifier.
        decoder: one of :data:`DECODERS`.
        num_outputs: channels of the logits.
        dims: 2 or 3.
        decoder_channels: widths of the decoder, see there.
        drop_rate: dropout of channels before the head.
        deep_supervision: heads on the decoder's coarser maps too, which answer in training alone.

    Raises:
        UserError: a decoder that does not exist, or an encoder that has no feature maps for one.
    """

    encoder_name: ClassVar[str] = "encoder"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        decoder: str = "unet",
        num_outputs: int = 2,
        dims: int = 2,
        decoder_channels: Sequence[int] | None = None,
        drop_rate: float = 0.0,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if decoder not in DECODERS:
            raise UserError(f"Unknown decoder {decoder!r}\n{did_you_mean(decoder, DECODERS)}")
        self.encoder: Any = encoder
        self.dims, self.num_classes, self.in_chans, self.drop_rate = dims, num_outputs, encoder.in_chans, drop_rate
        self.kind, self.deep_supervision = DECODERS[decoder], deep_supervision
        self.maps = EncoderMaps.of(encoder, dims)
        self.head_drop = DROPOUT[dims](drop_rate)
        self._add_decoder(decoder_channels)
        first = get_model_traits(encoder).get("first_conv")
        inside = f"encoder.{first}" if isinstance(first, str) else first and tuple(f"encoder.{name}" for name in first)
        self._traits = get_model_traits(encoder) | {"first_conv": inside}
        heads = ("head", *(f"deep_heads.{i}" for i in range(len(self.deep_heads))))
        self.pretrained_cfg = pretrained_config(encoder) | {
            "classifier": heads if self.deep_heads else "head",
            "first_conv": inside,
        }

    def shorten(self) -> None:
        """Make decoder and heads afresh, after the encoder has lost its coarsest maps."""
        before = len(self.maps.widths)
        self.maps = EncoderMaps.of(self.encoder, self.dims)
        self._add_decoder(self.decoder.widths[before - len(self.maps.widths) :])

    def _add_decoder(self, channels: Sequence[int] | None) -> None:
        named = dict(self.encoder.named_parameters())
        self._idle = [named[name] for name in self.maps.unused]  # a strategy may give them other names
        self.decoder = self.kind(self.dims, self.maps.widths, self.maps.halvings, channels)
        *coarse, finest = self.decoder.widths
        self.head = CONVOLUTION[self.dims](finest, self.num_classes, 1)
        self.deep_heads = nn.ModuleList(
            CONVOLUTION[self.dims](width, self.num_classes, 1) for width in reversed(coarse) if self.deep_supervision
        )

    @property
    def decoder_names(self) -> tuple[str, ...]:
        """Module names of the decoder's stages, coarse first."""
        return tuple(f"decoder.{step}" for step in self.decoder.step_names)

    @property
    def unused(self) -> frozenset[str]:
        """Names of the parameters that the logits do not depend on, such as a last convolution before pooling."""
        idle = {id(parameter) for parameter in self._idle}
        return frozenset(name for name, parameter in self.named_parameters() if id(parameter) in idle)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits (B, K, *S) of images (B, C, *S), whatever their size.

        In training with deep supervision a list: these, then those of the coarser maps, fine first, each in its own
        resolution.
        """
        size = image.shape[2:]
        image = self._padded(image)
        maps = self.encoder.forward_intermediates(image, indices=list(self.maps.indices), intermediates_only=True)
        *coarse, finest = self.decoder(maps, image.shape[2:])
        logits = self._in_size(self.head(self.head_drop(finest)), image.shape[2:])
        logits = self._cropped(logits, image, size)
        if not (self.training and self.deep_supervision):
            return logits
        deep = (head(each) for head, each in zip(self.deep_heads, reversed(coarse), strict=True))
        return [logits, *(self._cropped(each, image, size) for each in deep)]

    def _padded(self, image: Tensor) -> Tensor:
        """With edges repeated up to a size that the encoder can take."""
        missing = [-side % self.maps.multiple for side in reversed(image.shape[2:])]
        ends = [end for more in missing for end in (0, more)]
        return F.pad(image, ends, mode="replicate") if any(missing) else image

    def _in_size(self, logits: Tensor, size: Sequence[int]) -> Tensor:
        same = logits.shape[2:] == tuple(size)
        return logits if same else F.interpolate(logits, tuple(size), mode=LINEAR[self.dims], align_corners=False)

    def _cropped(self, logits: Tensor, image: Tensor, size: Sequence[int]) -> Tensor:
        """Without what was padded."""
        for axis, (side, padded) in enumerate(zip(size, image.shape[2:], strict=True), start=2):
            if side != padded:
                logits = logits.narrow(axis, 0, -(-logits.shape[axis] * side // padded))
        return logits
