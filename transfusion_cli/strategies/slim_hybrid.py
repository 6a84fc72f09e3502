"""A pretrained bottom under a slim, random top."""

import timm
import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import decoder_names, dimensions, input_size, pretrained_config
from transfusion_cli.models.stages import prefix
from transfusion_cli.strategies.base import TransferStrategy


class SlimHybrid(TransferStrategy):
    """Keep pretrained stages up to one of them; rebuild the later ones with fewer channels (Raghu et al. 2019).

    The rebuilt stages and the head start at random. For the ResNets of timm and the CIFAR ResNets. The paper's hybrid
    is a ResNet-50 with half the channels after ``block2``.

    Args:
        keep_through: last stage that is carried over, ``block1``, ``block2`` or ``block3``.
        width: channels of the later stages, as a share of the original.
    """

    def __init__(self, keep_through: str = "block2", width: float = 0.5) -> None:
        super().__init__()
        if not 0 < width <= 1:
            raise UserError(f"width is a share of the channels, over 0 and up to 1, not {width}.")
        self.keep_through, self.width = keep_through, width

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Load the stages to keep."""
        kept = prefix(network, self.keep_through)
        network.load_state_dict({name: tensor for name, tensor in source.items() if name in kept}, strict=False)

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Replace the later stages and the head by those of a slimmer twin.

        Raises:
            UserError: the backbone is no ResNet, there is nothing after the stage, or the network is one that
                segments or takes volumes.
        """
        if decoder_names(network) or dimensions(network) == 3:
            raise UserError(
                "SlimHybrid is for networks that classify images: a decoder, or a volume, needs every stage as it is\n"
                "Try --model.transfer Truncate, or WeightTransfusion"
            )
        kept = prefix(network, self.keep_through)
        numbered = [name for name in ("layer1", "layer2", "layer3", "layer4") if hasattr(network, name)]
        later = [name for name in numbered if not any(tensor.startswith(f"{name}.") for tensor in kept)]
        if not numbered:
            raise UserError(f"SlimHybrid is for ResNets, not {type(network).__name__}\nTry --model.backbone resnet50")
        if not later:
            raise UserError(f"SlimHybrid has nothing to slim after {self.keep_through}\nTry keep_through: block2")
        if dimensions(network) == 3:
            raise UserError("SlimHybrid is for images, and these are volumes\nTry --model.transfer FullFineTuning")
        twin = timm.create_model(
            pretrained_config(network)["architecture"],
            num_classes=network.num_classes,
            in_chans=input_size(network)[0],
            channels=tuple(self._channels(network, name, name in later) for name in numbered),
            drop_rate=network.drop_rate,
        )
        for name in (*later, "global_pool", "fc"):
            setattr(network, name, getattr(twin, name))
        for name in ("num_features", "head_hidden_size", "feature_info"):
            setattr(network, name, getattr(twin, name))

    def _channels(self, network: nn.Module, name: str, slim: bool) -> int:
        block = getattr(network, name)[0]
        channels = next(layer.out_channels for layer in block.modules() if isinstance(layer, nn.Conv2d))
        return max(1, round(channels * self.width)) if slim else channels
