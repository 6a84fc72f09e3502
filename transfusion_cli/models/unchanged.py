"""Knowing without a look at their numbers that tensors are what they were."""

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

_steps_taken = 0


def _count_step(*_: Any) -> None:
    global _steps_taken
    _steps_taken += 1


# fused optimizers write without PyTorch's counting it as a change
register_optimizer_step_post_hook(_count_step)


class Unchanged:
    """Remembers some tensors, to say later whether they are still the same and nothing was written into them.

    It never says so wrongly of another tensor: their memory is held, so that none made later can lie where they lie,
    as temporary ones do one after the other in ``torch.func.functional_call``. Comparing the numbers would be sure
    too, but have the device wait at every look. What hides from PyTorch's count of changes goes unseen: writing
    through ``tensor.data``, but for the steps of optimizers.

    Args:
        tensors: what to remember.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._steps = _steps_taken
        self._tensors = [weakref.ref(tensor) for tensor in tensors]
        self._memory = [tensor.detach() for tensor in tensors]
        self._versions = [_version(tensor) for tensor in tensors]

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether ``tensors`` are the remembered ones, unchanged. Of inference tensors nobody can tell: no."""
        remembered = zip(self._tensors, self._memory, self._versions, tensors, strict=True)
        return self._steps == _steps_taken and all(
            tensor is same() and tensor.data_ptr() == memory.data_ptr() and _version(tensor) == version is not None
            for same, memory, version, tensor in remembered
        )


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version
