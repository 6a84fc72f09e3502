"""A shorter network."""

from typing import Any

import torch
from torch import nn

from transfusion_cli.models.facts import head_names, in_head, input_size
from transfusion_cli.models.stages import prefix
from transfusion_cli.strategies.base import TransferStrategy


class Truncate(TransferStrategy):
    """Cut the network off after a stage; pooling and a fresh head follow (Ke et al. 2021, arXiv:2101.06871).

    Args:
        after: last stage to keep, ``conv1``, ``block1``, ``block2`` and so on.
    """

    def __init__(self, after: str = "block3") -> None:
        super().__init__()
        self.after = after

    def adapt(self, network: Any, pretrained: frozenset[str]) -> None:
        """Replace the modules of later stages by identities, and the head by one that fits."""
        kept, heads = prefix(network, self.after), head_names(network)
        dropped = [name for name in network.state_dict() if name not in kept and not in_head(name, heads)]
        for name in _whole_modules(network, dropped):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Identity())
        was_training = network.training
        network.eval()
        with torch.no_grad():
            width = network.forward_features(torch.zeros(1, *input_size(network))).shape[1]
        network.train(was_training)
        network.num_features = network.head_hidden_size = width
        network.reset_classifier(network.num_classes)


def _whole_modules(network: nn.Module, tensors: list[str]) -> list[str]:
    """The outermost modules all of whose tensors are among ``tensors``."""
    gone = set(tensors)
    found: list[str] = []
    for name, module in network.named_modules():
        own = {f"{name}.{tensor}" for tensor in module.state_dict()}
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and own and own <= gone and not inside:
            found.append(name)
    return found
