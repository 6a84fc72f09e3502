"""How many directions a weight matrix uses."""

import torch
from torch import Tensor


def effective_rank(matrix: Tensor) -> float:
    """The exponential of the entropy of the normalised singular values (Roy & Vetterli 2007).

    Between 1 and the rank: d for d equal singular values, 1 for one that is not 0; 0 for a matrix of zeros.

    Args:
        matrix: (m, n).
    """
    values = torch.linalg.svdvals(matrix.detach().double())
    total = values.sum()
    if not total > 0:
        return 0.0
    share = values / total
    return float(torch.special.entr(share).sum().exp())
