"""Affine collaborative normalisation."""

from typing import Literal

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import convert_ac_norm, fold_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.strategies.base import TransferStrategy


class ACNorm(TransferStrategy):
    """Recalibrate BatchNorm by the correlation of source and target channels (Zhang et al. 2023).

    Every BatchNorm layer with a pretrained affine becomes an AC-Norm layer; layers without one are left alone.
    Alone it trains everything; ``[ACNorm, BatchNormAffine]`` trains the affine parameters only.

    Args:
        temperature: softness of the correlation between channels; larger mixes more channels.
        combine: ``sum`` of the plain and the recalibrated output, as the authors' code does, or their ``mean``,
            which keeps the scale of the pretrained features.
        reference: behave as the authors' layer in every detail, also where its running statistics move twice per step.
    """

    def __init__(
        self, temperature: float = 1.0, combine: Literal["sum", "mean"] = "sum", reference: bool = False
    ) -> None:
        super().__init__()
        self.options = {"temperature": temperature, "combine": combine, "reference": reference}

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put AC-Norm layers in place of the BatchNorm layers whose scale and shift came from the source."""
        layers = [
            name
            for name, layer in batch_norm_layers(network).items()
            if layer.affine and {f"{name}.weight", f"{name}.bias"} <= pretrained
        ]
        if not layers:
            raise UserError(
                "ACNorm needs BatchNorm layers with pretrained scale and shift, and this network has none.\n"
                "Give --model.pretrained a file that holds them, or choose a backbone with BatchNorm (resnet50)."
            )
        convert_ac_norm(network, layers, **self.options)

    def finalize(self, network: nn.Module) -> None:
        """Fold every AC-Norm layer into plain BatchNorm."""
        fold_ac_norm(network)
