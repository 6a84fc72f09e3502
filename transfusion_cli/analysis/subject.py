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
        group: what it has in common with its repetitions, such as other seeds of the same run.
        network: in evaluation mode.
        normalise: makes the images of the data the network's input.
    """

    name: str
    group: str
    network: nn.Module
    normalise: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Logits of images as the data give them."""
        return self.network(self.normalise(images))
