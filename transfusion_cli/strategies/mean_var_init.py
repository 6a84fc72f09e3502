"""Mean-Var initialisation: the scale of pretrained weights without their features."""

from typing import Literal

import torch
from torch import Tensor, nn

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.facts import head_names, in_head
from transfusion_cli.strategies.base import TransferStrategy


class MeanVarInit(TransferStrategy):
    """Draw each weight tensor from a normal with the mean and variance of its pretrained tensor (Raghu et al. 2019).

    Every pretrained convolution and linear tensor is replaced by i.i.d. normal numbers of the same mean and
    (population) variance. The head, and what has no pretrained tensor, stays as the architecture initialises it.

    Args:
        batch_norm: what becomes of BatchNorm layers: ``reset`` (scale 1, shift 0, fresh statistics), ``resample``
            (scale and shift drawn like the weights, fresh statistics) or ``copy`` (pretrained affine and statistics).
            ``reset`` also raises the scales that the architecture itself starts at 0, as timm's ResNets do.
    """

    def __init__(self, batch_norm: Literal["reset", "resample", "copy"] = "reset") -> None:
        super().__init__()
        self.batch_norm = batch_norm

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Replace the network's tensors by draws with the moments of ``source``."""
        heads = head_names(network)
        body = {name: tensor for name, tensor in source.items() if not in_head(name, heads)}
        owners = {name.rpartition(".")[0] for name in body}
        layers = {name: layer for name, layer in batch_norm_layers(network).items() if name in owners}
        parameters = dict(network.named_parameters())
        state = network.state_dict()
        if self.batch_norm != "copy":
            for layer in layers.values():
                layer.reset_parameters()  # scale, shift and statistics
        with torch.no_grad():
            for name, tensor in body.items():
                in_batch_norm = name.rpartition(".")[0] in layers
                if in_batch_norm and self.batch_norm == "copy":
                    state[name].copy_(tensor)
                # Statistics are never drawn: a running variance could come out negative.
                elif name in parameters and (not in_batch_norm or self.batch_norm == "resample"):
                    state[name].copy_(_like(tensor, generator))


def _like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers with the mean and variance of ``tensor``; a single number is its own mean, variance 0."""
    values = tensor.double()
    draw = torch.randn(values.shape, generator=generator, dtype=torch.float64)
    return (values.mean() + values.std(correction=0) * draw).to(tensor.dtype)
