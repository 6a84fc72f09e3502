"""The classifier that weights were trained with, which a transferred network leaves behind."""

from typing import Any

import timm
from torch import Tensor, nn

from transfusion_cli.models.facts import head_names, in_head, pretrained_config
from transfusion_cli.models.matching import match
from transfusion_cli.models.weights_file import read_weights


def give_source_head(network: nn.Module, backbone: str, pretrained: bool | str) -> int:
    """Put the source's own classifier in place of the network's, where there is one that fits.

    Args:
        network: as ``build_network`` made it of the two others; changed in place.
        backbone: timm name.
        pretrained: published weights (True), none (False), or a file.

    Returns:
        The number of its classes; 0 where the source has no single classifier of two or more: nothing was changed.
    """
    if not pretrained or len(head_names(network)) != 1:
        return 0
    if pretrained is True:
        whole = timm.create_model(backbone, pretrained=True)
        tensors = {name: tensor for name, tensor in whole.state_dict().items() if in_head(name, head_names(whole))}
    else:
        tensors = match(
            network, pretrained_config(network)["architecture"], read_weights(pretrained).tensors
        ).classifier
    return _fill(network, tensors)


def _fill(network: nn.Module, tensors: dict[str, Tensor]) -> int:
    """Load the tensors of a classifier, whose number of classes their shape tells."""
    heads = head_names(network)
    classes = {len(tensor) for name, tensor in tensors.items() if in_head(name, heads) and name.endswith(".bias")}
    if len(classes) != 1 or (number := classes.pop()) < 2 or not hasattr(network, "reset_classifier"):
        return 0
    own = {name: tensor.shape for name, tensor in network.state_dict().items() if in_head(name, heads)}
    fits = {name: (number, *shape[1:]) for name, shape in own.items()}
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != fits:
        return 0
    timms: Any = network
    timms.reset_classifier(number)
    network.load_state_dict(tensors, strict=False)
    return number
