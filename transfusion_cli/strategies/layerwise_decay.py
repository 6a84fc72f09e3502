"""Everything trains, the slower the nearer it is to the input."""

from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts


class LayerwiseDecay(PhasedStrategy):
    """Train every parameter, each layer at a fixed share of the rate of the layer above it (Clark et al. 2020; BEiT).

    The rate of layer l of L is ``lr * decay ** (L - l)``. Layers are timm's: the stem, each residual or transformer
    block, the head. The head trains at the full rate, and so does a decoder that was not carried over; one that was
    has a layer for each of its steps. It costs what full fine-tuning costs.

    Args:
        decay: factor from a layer to the one below it, over 0 and up to 1. 0.65 is usual for a ViT-B that was
            pretrained by masking (BEiT, MAE, RETFound), 0.75 for larger ones.
        kwargs: as for ``PhasedStrategy``; rates are those at the top.

    Raises:
        UserError: ``decay`` is no such factor.
    """

    main_phase = "layerwise"

    def __init__(self, decay: float = 0.75, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < decay <= 1:
            raise UserError(f"decay is a factor over 0 and up to 1, not {decay}.\nTry --model.transfer.decay 0.75")
        self.decay = decay

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """All parameters."""
        return parts.names

    def factors(self, parts: NetworkParts) -> dict[str, float]:
        """A power of ``decay`` for each parameter below the head and what is new: one power for each layer.

        Raises:
            UserError: timm does not group this architecture.
        """
        new, top = set(parts.new), {parts.layers[name] for name in parts.head}
        layer = {name: parts.layers[name] for name in parts.names if name not in new}
        below = sorted(set(layer.values()) - top, reverse=True)
        return {name: self.decay ** (below.index(layer[name]) + 1) for name in layer if layer[name] in below}
