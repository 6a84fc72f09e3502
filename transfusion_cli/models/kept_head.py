"""The source's classifier beside the new one."""

from torch import nn

from transfusion_cli.models.full_precision import FullPrecision

NAME = "source_head"
"""What it is called in the network."""


def keep_source_head(network: nn.Module, classifier: nn.Linear) -> None:
    """Give a network a copy of the source's classifier as a child, which its own outputs do not depend on."""
    if hasattr(network, NAME):  # another strategy wanted it too
        return
    bias = classifier.bias is not None
    kept = nn.utils.skip_init(nn.Linear, classifier.in_features, classifier.out_features, bias=bias)
    kept.load_state_dict(classifier.state_dict())
    FullPrecision(kept)
    network.add_module(NAME, kept)


def drop_source_head(network: nn.Module) -> None:
    """Take it away, where there is one."""
    if hasattr(network, NAME):
        delattr(network, NAME)
