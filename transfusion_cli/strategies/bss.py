"""The weakest directions of the features are suppressed."""

from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.features import FeatureStrategy
from transfusion_cli.strategies.spread import gathered


class BSS(FeatureStrategy):
    """Suppress the smallest singular values of a batch's features (batch spectral shrinkage, Chen et al. 2019).

    Adds ``weight`` times the sum of the squares of the k smallest singular values of the features (B, D) of a batch:
    of all processes together, and of each accumulated batch by itself.

    Extra cost: the singular values of one matrix of batch size by features in each step.

    Args:
        weight: weight of the term.
        k: how many singular values.

    Raises:
        UserError: none at all.
    """

    def __init__(self, weight: float = 0.001, k: int = 1) -> None:
        super().__init__()
        if k < 1:
            raise UserError(f"BSS suppresses at least one singular value, not {k}.\nLeave k out for one.")
        self.weight, self.k = weight, k

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """The weighted squares of the smallest singular values, which come last."""
        values: Tensor = torch.linalg.svdvals(gathered(self.features))
        return self.weight * values[-self.k :].square().sum()
