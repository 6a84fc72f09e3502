"""A decoder from the weights file of a segmentation network."""

from torch import nn

from transfusion_cli.models.facts import decoder_names, in_head
from transfusion_cli.models.matching import Tensors, stripped


def decoder_tensors(network: nn.Module, source: Tensors) -> Tensors:
    """The tensors of a file that fit a network's decoder, whatever prefix they have there.

    They fit by name and shape, a convolution and its norm together: the norm of another convolution is of no use.
    """
    state = network.state_dict()
    target = {name: tensor for name, tensor in state.items() if in_head(name, decoder_names(network))}
    return max((_fitting(target, below) for below, _ in stripped(source)), key=len)


def _fitting(target: Tensors, source: Tensors) -> Tensors:
    common = [name for name in target if name in source]
    others = {_layer(name) for name in common if source[name].shape != target[name].shape}
    return {name: source[name] for name in common if _layer(name) not in others}


def _layer(name: str) -> str:
    return name.rsplit(".", 2)[0]
