"""Weights stay near their start."""

from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import TransferStrategy


class L2SP(TransferStrategy):
    """Pull weights back to where they started, and new ones to zero (L2-SP, Li et al. 2018, arXiv:1802.01483).

    Adds ``alpha / 2 * sum (w - w0)^2`` over the parameters that were carried over, scales and shifts among them, and
    ``beta / 2 * sum w^2`` over the others. It takes the place of weight decay: leave the optimizer's at 0.

    Extra cost: a copy of the parameters that were carried over, in memory and in checkpoints; next to no time.

    Args:
        alpha: weight of the distance from the start.
        beta: weight of what was not carried over, such as the head.
    """

    def __init__(self, alpha: float = 0.01, beta: float = 0.01) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self._start: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Remember where the weights are, unless a checkpoint has said where they were.

        Raises:
            UserError: nothing was carried over.
        """
        carried = pl_module.transferred.parts.carried
        if not carried:
            raise UserError(
                "L2SP keeps weights near pretrained ones, and nothing was carried over.\n"
                "Give --model.pretrained a file, or take out what starts at random."
            )
        parameters = {name: value for name, value in pl_module.network.named_parameters() if name in carried}
        start = self._start or {name: value.detach().clone() for name, value in parameters.items()}
        self._start = {name: start[name].to(value) for name, value in parameters.items()}

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """The weighted squares of what trains."""
        terms = [
            self.alpha / 2 * (value - self._start[name]).square().sum()
            if name in self._start
            else self.beta / 2 * value.square().sum()
            for name, value in network.named_parameters()
            if value.requires_grad
        ]
        return torch.stack(terms).sum()

    def state_dict(self) -> dict[str, Any]:
        """The start, by name of the parameter."""
        return {"start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the start of the run that goes on."""
        self._start = state_dict["start"]
