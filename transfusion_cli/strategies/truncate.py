"""A shorter network."""

from typing import Any

import torch
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import (
    decoder_names,
    dimensions,
    encoder_of,
    head_names,
    in_head,
    input_size,
    whole_modules,
)
from transfusion_cli.models.stages import prefix
from transfusion_cli.models.volumes.swap import in_three_dimensions
from transfusion_cli.strategies.base import TransferStrategy


class Truncate(TransferStrategy):
    """Cut the network off after a stage; pooling and a fresh head follow (Ke et al. 2021, arXiv:2101.06871).

    Of a segmentation network it cuts the encoder, and a fresh decoder for the maps that are left follows.

    Args:
        after: last stage to keep, ``conv1``, ``block1``, ``block2`` and so on.
    """

    def __init__(self, after: str = "block3") -> None:
        super().__init__()
        self.after = after

    def adapt(self, network: Any, pretrained: frozenset[str]) -> None:
        """Replace the modules of later stages by identities, and the head by one that fits.

        Raises:
            UserError: a decoder was carried over, which is for all the stages; or no such stage.
        """
        decoder = decoder_names(network)
        if any(in_head(name, decoder) for name in pretrained):
            raise UserError(
                "Truncate leaves a decoder without stages that it was trained with, and this one came with the weights"
                "\nTry --model.transfer WeightTransfusion, or weights of the encoder alone"
            )
        _, encoder = encoder_of(network)
        kept, heads = prefix(encoder, self.after), head_names(encoder)
        dropped = [name for name in encoder.state_dict() if name not in kept and not in_head(name, heads)]
        for name in whole_modules(encoder, dropped):
            parent, _, child = name.rpartition(".")
            setattr(encoder.get_submodule(parent), child, nn.Identity())
        if decoder:
            network.shorten()
            return
        was_training = network.training
        network.eval()
        with torch.no_grad():
            width = network.forward_features(torch.zeros(1, *input_size(network))).shape[1]
        network.train(was_training)
        network.num_features = network.head_hidden_size = width
        network.reset_classifier(network.num_classes)
        if dimensions(network) == 3:
            in_three_dimensions(network)  # timm's new pooling is that of images
