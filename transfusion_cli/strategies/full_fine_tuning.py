"""Every parameter trains."""

from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts


class FullFineTuning(PhasedStrategy):
    """Train every parameter from the pretrained weights.

    With ``head_epochs`` it is linear probing, then fine-tuning (LP-FT, Kumar et al. 2022); with
    ``statistics: frozen`` as well, the FC-then-full of Kanavati & Tsuneki (2021).
    """

    main_phase = "full"

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """All parameters."""
        return parts.names
