"""A pretrained prefix under a fresh rest."""

from typing import Literal

import torch
from torch import Tensor, nn

from transfusion_cli.models.stages import prefix
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.mean_var_init import MeanVarInit


class WeightTransfusion(TransferStrategy):
    """Start from pretrained weights up to a stage and from random ones after it (Raghu et al. 2019, section 5).

    All of it trains, unless another strategy of the list says otherwise. Stages are ``conv1`` (the stem), ``block1``,
    ``block2`` and so on; a wrong name lists those of the backbone.

    Args:
        up_to: last stage that is carried over; null carries none.
        rest: what the later stages start from: ``random``, or ``mean_var`` (random with the pretrained mean and
            variance of each tensor, see ``MeanVarInit``).
    """

    def __init__(self, up_to: str | None = "block2", rest: Literal["random", "mean_var"] = "random") -> None:
        super().__init__()
        self.up_to, self.rest = up_to, rest

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Load the prefix; draw the rest by its moments or leave it as it was created."""
        kept = frozenset() if self.up_to is None else prefix(network, self.up_to)
        if self.rest == "mean_var":
            rest = {name: tensor for name, tensor in source.items() if name not in kept}
            MeanVarInit().initialize(network, rest, generator)
        network.load_state_dict({name: tensor for name, tensor in source.items() if name in kept}, strict=False)
