"""Nothing is carried over."""

import torch
from torch import Tensor, nn

from transfusion_cli.strategies.base import TransferStrategy


class RandomInit(TransferStrategy):
    """Start from the architecture's own random initialisation and ignore the pretrained weights.

    Put it first in a list to combine it with what trains: ``[RandomInit, BatchNormAffine]``.
    """

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Leave the random weights that the network was created with."""
