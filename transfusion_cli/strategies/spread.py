"""What the samples of all processes make together."""

import torch
from torch import Tensor
from torch.distributed import all_gather, get_rank, get_world_size, is_initialized


def gathered(rows: Tensor) -> Tensor:
    """Rows (B, ...) of every process, in the order that one process would have them in (world * B, ...).

    A term of the loss that each process computes of all rows has the gradient that it has in one process, once DDP has
    averaged gradients: this process's own rows count as often as there are processes.
    """
    if not is_initialized() or get_world_size() == 1:
        return rows
    world = get_world_size()
    own = rows.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(world)]
    all_gather(parts, own)
    parts[get_rank()] = own + world * (rows - own) if rows.requires_grad else own  # the difference is 0
    return torch.stack(parts, dim=1).flatten(0, 1)  # batches are dealt out in turn
