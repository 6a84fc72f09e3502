"""A first layer of Gabor filters."""

from typing import Literal

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import first_convolution
from transfusion_cli.models.gabor import gabor_bank
from transfusion_cli.strategies.base import TransferStrategy


class GaborInit(TransferStrategy):
    """Start the first convolution from Gabor filters and all else at random (Raghu et al. 2019, section 5).

    The filters are grey, repeated over the input channels: four frequencies and, for 64 filters, sixteen orientations.
    The paper does not tell their scale.

    Args:
        scale: what the standard deviation of the filters is set to: that of the network's ``default`` random first
            layer, or that of the ``pretrained`` one.
    """

    def __init__(self, scale: Literal["default", "pretrained"] = "default") -> None:
        super().__init__()
        self.scale = scale

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Write the filters into the first convolution.

        Raises:
            UserError: the network takes volumes, its first layer is no convolution of several pixels, or the pretrained
                scale is not known.
        """
        name, layer = first_convolution(network)
        if len(layer.kernel_size) != 2:
            raise UserError(
                f"GaborInit draws waves in a plane, and the first convolution, {name}, is one of volumes\n"
                "Try --model.transfer MeanVarInit"
            )
        if min(layer.kernel_size) < 3:
            raise UserError(f"the first convolution, {name}, has kernels of {layer.kernel_size}: too small for a wave.")
        weight = layer.weight.data
        model = weight if self.scale == "default" else source.get(f"{name}.weight")
        if model is None:
            raise UserError(f"no pretrained {name} to take the scale from\nUse --model.transfer.scale default.")
        bank = gabor_bank(weight.shape[0], (weight.shape[2], weight.shape[3]))[:, None].expand(weight.shape)
        weight.copy_(bank * (model.double().std(correction=0) / bank.std(correction=0)))
