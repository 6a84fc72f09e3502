"""What the processes of a run do together."""

import lightning.pytorch as pl
import torch
from torch import Tensor


def sum_over_processes(trainer: pl.Trainer, tensor: Tensor) -> Tensor:
    """The sum of ``tensor`` over all processes, which all of them have to ask for."""
    if trainer.world_size == 1:
        return tensor
    total = tensor.clone()
    torch.distributed.all_reduce(total)  # Lightning's own would have all processes meet first
    return total
