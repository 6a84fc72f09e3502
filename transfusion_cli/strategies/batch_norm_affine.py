"""Only BatchNorm scale and shift train, and the head."""

from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Affine, Statistics


class BatchNormAffine(PhasedStrategy):
    """Train BatchNorm scale and shift and the head; all other weights stay (Kanavati & Tsuneki 2021).

    The paper's preferred recipe has a head phase of one epoch before it (``head_epochs: 1``).

    Args:
        affine: which affine parameters train: ``both``, ``scale`` (gamma) or ``shift`` (beta).
        statistics: what BatchNorm statistics do in the main phase: ``frozen`` (the paper's choice), ``update`` or
            ``reestimate``. Layers that were not carried over always update, but for ``frozen_all``: with
            ``RandomInit`` before it, that is the paper's RND-FC-BN.
        kwargs: as for ``PhasedStrategy``.
    """

    main_phase = "scale_and_shift"

    def __init__(self, affine: Affine = "both", statistics: Statistics = "frozen", **kwargs: Any) -> None:
        super().__init__(statistics=statistics, **kwargs)
        self.affine = affine

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """The chosen affine parameters and the head.

        Raises:
            UserError: for a network without BatchNorm (ViT, GroupNorm) or without the chosen affine parameters.
        """
        chosen = {"both": parts.scale + parts.shift, "scale": parts.scale, "shift": parts.shift}[self.affine]
        if not parts.batch_norm:
            raise UserError(
                "BatchNormAffine needs a network with BatchNorm layers, and this backbone has none.\n"
                "Choose one that has (resnet50, densenet121), or --model.transfer FullFineTuning."
            )
        if not chosen:
            raise UserError(f"The BatchNorm layers of this backbone have no {self.affine} parameters to train.")
        return parts.in_order(*chosen, *parts.head)
