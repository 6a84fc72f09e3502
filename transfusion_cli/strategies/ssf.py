"""Scaling and shifting features."""

from typing import Any

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ac_norm_layers
from transfusion_cli.models.adapter import hosts
from transfusion_cli.models.layer_kinds import adaptable
from transfusion_cli.models.scale_shift import ScaleShift, can_be_scaled
from transfusion_cli.strategies.adapting import AdaptingStrategy


class SSF(AdaptingStrategy):
    """Train a scale and a shift of each channel after each operation, and the head (Lian et al. 2022).

    Published as arXiv:2210.08823. Operations are linear layers, convolutions and normalisations, outside of the head.
    An operation without a bias gets a scale alone, since the network is to be an ordinary one again: after training
    scale and shift go into weight and bias. Convolutions that standardise their weight would undo that, and get
    neither.

    Cost: the output of every operation once more, in time and in memory of activations.

    Args:
        std: of the normal numbers that scales, around 1, and shifts, around 0, start from. 0.02 as the authors have
            it; 0 starts as the pretrained network.
        kwargs: as for ``PhasedStrategy``.
    """

    def __init__(self, std: float = 0.02, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if std < 0:
            raise UserError(f"std of SSF must be 0 or more, not {std}.\nTry --model.transfer.std 0.02")
        self.std = std

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put scale and shift after the operations.

        Raises:
            UserError: AC-Norm has been there, which would have to be folded first.
        """
        if ac_norm_layers(network):
            raise UserError(
                "SSF after ACNorm could not be merged: what it scales decides AC-Norm's correlation.\n"
                "Name SSF before ACNorm in model.transfer."
            )
        layers = [layer for layer in adaptable(network, pretrained).values() if can_be_scaled(layer)]
        for layer in layers:
            ScaleShift(layer, self.std).attach(layer)

    def finalize(self, network: nn.Module) -> None:
        """Put scales and shifts into weights and biases."""
        for host, adapter in hosts(network):
            if isinstance(adapter, ScaleShift):
                adapter.merge(host)
