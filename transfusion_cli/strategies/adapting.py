"""What strategies share that put fresh parameters beside frozen weights."""

from typing import Any

from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Statistics


class AdaptingStrategy(PhasedStrategy):
    """Train what ``adapt`` added, and what is new; every weight that was carried over stays.

    What was added learns in the group ``adapter``.

    Args:
        statistics: what BatchNorm statistics do in the main phase (see ``PhasedStrategy``).
        kwargs: as for ``PhasedStrategy``.
    """

    main_phase = "adapters"

    def __init__(self, statistics: Statistics = "frozen", **kwargs: Any) -> None:
        super().__init__(statistics=statistics, **kwargs)

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """The adapters and what is new."""
        return parts.in_order(*parts.adapters, *parts.new)
