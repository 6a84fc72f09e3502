"""Logits in full precision under mixed precision."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn


class FullPrecision:
    """Runs a layer outside autocast, on inputs of at least float32.

    Half precision has so few numbers that the logits of different images fall together: of 120 images 30 would share
    theirs with another, and ties count in the AUROC. What comes before the last layer may well be rounded.

    Args:
        layer: the classifier; changed in place.
    """

    def __init__(self, layer: nn.Module) -> None:
        self._outside = ExitStack()
        layer.register_forward_pre_hook(self.enter)
        layer.register_forward_hook(self.leave, always_call=True)

    def enter(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Leave autocast, before the layer runs."""
        self._outside.enter_context(torch.autocast(inputs[0].device.type, enabled=False))
        return tuple(_widened(value) for value in inputs)

    def leave(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Return to it, even after an error."""
        self._outside.close()


def _widened(value: Any) -> Any:
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
