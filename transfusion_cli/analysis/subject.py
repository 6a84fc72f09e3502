"""A network under analysis."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""``image`` (B, C, H, W), ``target`` and ``index``, as the data modules give them."""


@dataclass(frozen=True)
class Subject:
    """A network with the normalisation that its weights expect.

    Args:
        name: what tables and figures call it.
        network: in evaluation mode.
        normalise: makes the images of the data the network's input.
    """

    name: str
    network: nn.Module
    normalise: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Logits of images as the data give them."""
        logits: Tensor = self.network(self.normalise(images))
        return logits
