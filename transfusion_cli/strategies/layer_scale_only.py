"""Only the scales of residual branches train, and the head."""

import re
from dataclasses import replace
from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Statistics

LAYER_SCALE = re.compile(r"(^|\.)(gamma(_?\d)?|ls\d|layer_scale(_?\d)?(\.scale)?)$")
"""What timm's architectures call it."""


class LayerScaleOnly(PhasedStrategy):
    """Train LayerScale and the head; all other weights stay.

    LayerScale (Touvron et al. 2021, arXiv:2103.17239) multiplies each channel of a residual branch before it is added:
    ``gamma`` of ConvNeXt, DINOv2, DINOv3, BEiT and others. It learns in the group ``scale_and_shift``.

    Cost: as for ``NormAffine``, with fewer parameters still.

    Args:
        statistics: what BatchNorm statistics do in the main phase (see ``PhasedStrategy``).
        kwargs: as for ``PhasedStrategy``.
    """

    main_phase = "layer_scale"

    def __init__(self, statistics: Statistics = "frozen", **kwargs: Any) -> None:
        super().__init__(statistics=statistics, **kwargs)

    def regroup(self, parts: NetworkParts) -> NetworkParts:
        """With LayerScale as the one kind of scale."""
        new = set(parts.new)
        found = tuple(name for name in parts.names if LAYER_SCALE.search(name) and name not in new)
        return replace(parts, scale=found, shift=())

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """LayerScale, and what is new.

        Raises:
            UserError: the network has none.
        """
        if not parts.scale:
            raise UserError(
                "LayerScaleOnly needs a network with LayerScale, and this backbone has none.\n"
                "Choose one that has (convnext_tiny, vit_small_patch14_dinov2), or --model.transfer NormAffine."
            )
        return parts.in_order(*parts.scale, *parts.new)
