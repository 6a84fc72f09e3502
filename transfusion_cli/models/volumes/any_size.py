"""Networks whose poolings want sides that divide, on volumes of any size."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class AnySize:
    """Repeats the edges of a network's input up to the next multiple, and crops its output back.

    Args:
        network: as large as its input is its output; changed in place.
        multiple: what each side of its input must be a multiple of.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        self.multiple = multiple
        self._size: Sequence[int] = ()
        network.register_forward_pre_hook(self.enter)
        network.register_forward_hook(self.leave)

    def enter(self, network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Pad (B, C, *S), behind."""
        x: Tensor = inputs[0]
        self._size = x.shape[2:]
        missing = [-side % self.multiple for side in reversed(self._size)]
        ends = [end for more in missing for end in (0, more)]
        return (F.pad(x, ends, mode="replicate") if any(missing) else x, *inputs[1:])

    def leave(self, network: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """Crop (B, K, *S) to what came in."""
        return output[(slice(None), slice(None), *(slice(side) for side in self._size))]
