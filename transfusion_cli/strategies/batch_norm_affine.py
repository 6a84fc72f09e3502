"""Only BatchNorm scale and shift train, and the head."""

from typing import Any, Literal

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Affine, Statistics


class BatchNormAffine(PhasedStrategy):
    """Train BatchNorm scale and shift and the head; all other weights stay (Kanavati & Tsuneki 2021).

    A decoder that was not carried over trains whole: frozen at random it would be of no use.
    The paper's preferred recipe has a head phase of one epoch before it (``head_epochs: 1``).

    Args:
        affine: which affine parameters train: ``both``, ``scale`` (gamma) or ``shift`` (beta).
        statistics: what BatchNorm statistics do in the main phase: ``frozen`` (the paper's choice), ``update`` or
            ``reestimate``. Layers that were not carried over always update, but for ``frozen_all``: with
            ``RandomInit`` before it, that is the paper's RND-FC-BN.
        decoder: what trains of a decoder that was not carried over: ``all``, or ``affine``, the chosen affine
            parameters alone, to see what they can do over random features.
        kwargs: as for ``PhasedStrategy``.
    """

    main_phase = "scale_and_shift"
    refusal = (
        "BatchNormAffine needs a network with BatchNorm layers, and this backbone has none.\n"
        "Choose one that has (resnet50, densenet121), or --model.transfer NormAffine."
    )

    def __init__(
        self,
        affine: Affine = "both",
        statistics: Statistics = "frozen",
        decoder: Literal["all", "affine"] = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(statistics=statistics, **kwargs)
        self.affine, self.decoder = affine, decoder

    def layers(self, parts: NetworkParts) -> tuple[str, ...]:
        """Module names of the layers whose scale and shift train."""
        return parts.batch_norm

    def new(self, parts: NetworkParts) -> tuple[str, ...]:
        """The head and a fresh decoder, or the chosen affine parameters of that."""
        if self.decoder == "all":
            return parts.new
        endings = {"both": ("weight", "bias"), "scale": ("weight",), "shift": ("bias",)}[self.affine]
        affine = {f"{layer}.{ending}" for layer in self.layers(parts) for ending in endings}
        return tuple(name for name in parts.new if name in parts.head or name in affine)

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """The chosen affine parameters, and what is new.

        Raises:
            UserError: for a network without BatchNorm (ViT, GroupNorm) or without the chosen affine parameters.
        """
        chosen = {"both": parts.scale + parts.shift, "scale": parts.scale, "shift": parts.shift}[self.affine]
        if not self.layers(parts):
            raise UserError(self.refusal)
        if not chosen:
            raise UserError(f"The normalisation layers of this backbone have no {self.affine} parameters to train.")
        return parts.in_order(*chosen, *self.new(parts))
