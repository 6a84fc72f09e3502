"""Only some stages train, and the head."""

from typing import Any

from transfusion_cli.models.stages import named
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts


class SurgicalFineTuning(PhasedStrategy):
    """Train one part of the network and the head; all other stages stay (Lee et al. 2023).

    Early stages suit images that look otherwise (another scanner, stain or noise), late ones other classes of images
    that look the same. Stages that stay are frozen wholly: weights, BatchNorm statistics, dropout. Nothing below the
    first stage that trains needs a gradient, so that late stages are cheap, and early ones cost as much time as all.

    Args:
        stages: what trains, one stage or a list: ``conv1`` (the stem), ``block1``, ``block2`` and so on; a wrong name
            lists those of the backbone. ``[conv1, block1]`` is the paper's first part.
        kwargs: as for ``PhasedStrategy``; ``statistics`` is for the stages that train.
    """

    main_phase = "surgical"

    def __init__(self, stages: list[str] | str = "block1", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stages = [stages] if isinstance(stages, str) else list(stages)

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """The parameters of the stages, and what is new.

        Raises:
            UserError: no such stage.
        """
        return parts.in_order(*named(parts.stages, self.stages), *self.new(parts))

    def still(self, parts: NetworkParts) -> frozenset[str]:
        """The tensors of all other stages."""
        return named(parts.stages, [stage for stage in parts.stages if stage not in self.stages]) - set(parts.new)
