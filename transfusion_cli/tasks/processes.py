"""What the processes of a run do together."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def sum_over_processes(trainer: pl.Trainer, tensor: Tensor) -> Tensor:
    """The sum of ``tensor`` over all processes, which all of them have to ask for."""
    if trainer.world_size == 1:
        return tensor
    total = tensor.clone()
    torch.distributed.all_reduce(total)  # Lightning's own would have all processes meet first
    return total


def differentiable_sum(tensor: Tensor) -> Tensor:
    """The sum of ``tensor`` over all processes there are, which gradients pass: each gets those of all."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return tensor
    total: Tensor = _Sum.apply(tensor)
    return total


class _Sum(torch.autograd.Function):  # PyTorch's own, in torch.distributed.nn, is deprecated
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total
