"""Pretrained weights with some stages started afresh."""

import torch
from torch import Tensor, nn

from transfusion_cli.models.stages import named, stages
from transfusion_cli.strategies.base import TransferStrategy


class Reinitialise(TransferStrategy):
    """Start from pretrained weights except in the named stages, which start at random (Neyshabur et al. 2020).

    Args:
        stages: stages to start afresh, ``conv1``, ``block1``, ``block2`` and so on.
    """

    def __init__(self, stages: list[str]) -> None:
        super().__init__()
        self.stages = list(stages)

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Load all stages but the named ones.

        Raises:
            UserError: no such stage.
        """
        fresh = named(stages(network), self.stages)
        network.load_state_dict({name: tensor for name, tensor in source.items() if name not in fresh}, strict=False)
