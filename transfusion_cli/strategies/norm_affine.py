"""Only the scale and shift of normalisation layers train, whatever their kind, and the head."""

from transfusion_cli.strategies.batch_norm_affine import BatchNormAffine
from transfusion_cli.strategies.parts import NetworkParts


class NormAffine(BatchNormAffine):
    """Train scale and shift of every normalisation layer and the head; all other weights stay.

    The idea of ``BatchNormAffine`` for ViTs, ConvNeXts and the like: BatchNorm, LayerNorm, GroupNorm, RMSNorm (which
    has no shift) and timm's variants of them. On a network with BatchNorm alone the two are the same.

    Cost: gradients still pass the whole network, but no frozen weight needs one of its own, nor an optimizer state.

    Args:
        kwargs: as for ``BatchNormAffine``.
    """

    refusal = (
        "NormAffine needs a network with normalisation layers, and this backbone has none with scale or shift.\n"
        "Choose one that has (resnet50, vit_tiny_patch16_224), or --model.transfer FullFineTuning."
    )

    def layers(self, parts: NetworkParts) -> tuple[str, ...]:
        """All normalisation layers."""
        return parts.norms

    def regroup(self, parts: NetworkParts) -> NetworkParts:
        """With the scales and shifts of all of them in the group ``scale_and_shift``."""
        return parts.with_affine(parts.norms)
