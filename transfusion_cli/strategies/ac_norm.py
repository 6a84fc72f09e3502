"""Affine collaborative normalisation."""

from typing import Literal

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import convert_ac_norm, fold_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.norms import has_affine, norm_layers
from transfusion_cli.strategies.base import TransferStrategy


class ACNorm(TransferStrategy):
    """Recalibrate BatchNorm by the correlation of source and target channels (Zhang et al. 2023).

    Every BatchNorm layer with a pretrained affine becomes an AC-Norm layer; layers without one are left alone.
    Alone it trains everything; ``[ACNorm, BatchNormAffine]`` trains the affine parameters only, as does
    ``[ACNorm, NormAffine]`` for ``norms: all``.

    Args:
        temperature: softness of the correlation between channels; larger mixes more channels.
        combine: ``sum`` of the plain and the recalibrated output, as the authors' code does, or their ``mean``,
            which keeps the scale of the pretrained features.
        reference: behave as the authors' layer in every detail, also where its running statistics move twice per step.
        norms: ``batch``, the published method, or ``all``: LayerNorm, GroupNorm and InstanceNorm too, where they have
            scale and shift. That is an extension of our own, without published results: try it against ``NormAffine``.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        combine: Literal["sum", "mean"] = "sum",
        reference: bool = False,
        norms: Literal["batch", "all"] = "batch",
    ) -> None:
        super().__init__()
        self.norms = norms
        self.options = {"temperature": temperature, "combine": combine, "reference": reference}

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put AC-Norm layers in place of the normalisations whose scale and shift came from the source.

        Raises:
            UserError: there are none.
        """
        found = norm_layers(network) if self.norms == "all" else batch_norm_layers(network)
        layers = [
            name
            for name, layer in found.items()
            if has_affine(layer) and {f"{name}.weight", f"{name}.bias"} <= pretrained
        ]
        if not layers:
            kind = "normalisation" if self.norms == "all" else "BatchNorm"
            raise UserError(
                f"ACNorm needs {kind} layers with pretrained scale and shift, and this network has none.\n"
                "Give --model.pretrained a file that holds them, or choose a backbone with BatchNorm (resnet50)."
            )
        convert_ac_norm(network, layers, **self.options)

    def finalize(self, network: nn.Module) -> None:
        """Fold every AC-Norm layer into the plain layer that it wraps."""
        fold_ac_norm(network)
