"""The source's answers are not forgotten."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.strategies.source_head import SourceHeadStrategy


class LWF(SourceHeadStrategy):
    """Keep what the source's classifier says of the new images (learning without forgetting, Li & Hoiem 2016).

    Adds ``weight`` times the divergence of the source's answers from what its classifier, which trains on, makes of the
    present features, both softened by the temperature: the mean over the images of ``KL(softmax(source / T) |
    softmax(present / T))``. The source answers to each image as it is augmented in that step, so nothing is learned
    from the answer to another crop.

    Extra cost: in each step a forward pass of the source, whose weights are in memory and in checkpoints too.

    Args:
        weight: weight of the term.
        temperature: T.
    """

    def __init__(self, weight: float = 4.0, temperature: float = 3.0) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """The weighted divergence."""
        with torch.no_grad():
            before = (self.source(batch["image"]) / self.temperature).log_softmax(dim=1)
        now = (self.source_logits(network) / self.temperature).log_softmax(dim=1)
        return self.weight * F.kl_div(now, before, log_target=True, reduction="batchmean")

    def state_dict(self) -> dict[str, Any]:
        """The source, which answers."""
        return {"source": self.source.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that of the run that goes on."""
        self.source.load_state_dict(state_dict["source"])
