"""Only biases train, and the head."""

import re
from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Statistics

BIAS = re.compile(r"(^|[._])bias$")


class BiasOnly(PhasedStrategy):
    """Train every bias and the head; all weights stay (BitFit, Ben Zaken et al. 2022, arXiv:2106.10199).

    Shifts of normalisation layers are biases too: of a ResNet, whose convolutions have none, they are all there is.

    Cost: gradients still pass the whole network, but most layers need no input kept for a gradient of their weight.

    Args:
        statistics: what BatchNorm statistics do in the main phase (see ``PhasedStrategy``).
        kwargs: as for ``PhasedStrategy``. Shifts of BatchNorm learn in the group ``scale_and_shift``, all else of the
            backbone in ``rest``.
    """

    main_phase = "biases"

    def __init__(self, statistics: Statistics = "frozen", **kwargs: Any) -> None:
        super().__init__(statistics=statistics, **kwargs)

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """All biases, and what is new.

        Raises:
            UserError: there are no biases.
        """
        biases = {name for name in parts.flat if BIAS.search(name)}
        if biases <= set(parts.new):
            raise UserError(
                "BiasOnly needs a network with biases, and the layers of this backbone have none.\n"
                "Try --model.transfer NormAffine, or LoRA."
            )
        return parts.in_order(*biases, *parts.new)
