"""Several images of one examination as one answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.errors import UserError


def mean_over_exams(
    exams: Sequence[Hashable] | np.ndarray, probabilities: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Average the probabilities over the images of each examination.

    Args:
        exams: examination of each image (N,).
        probabilities: (N, K).
        targets: (N, L) or (N,), equal over the images of an examination.

    Returns:
        Mean probabilities (E, K), targets (E, L) or (E,), and for each examination the row of its first image (E,).

    Raises:
        UserError: images of one examination have different targets.
    """
    names, first, codes = np.unique(np.asarray(exams), return_index=True, return_inverse=True)
    index = torch.as_tensor(codes)
    sums = torch.zeros(len(names), probabilities.shape[1], dtype=torch.float64)
    sums.index_add_(0, index, probabilities.double())
    counts = torch.bincount(index, minlength=len(names))[:, None]
    kept = targets[torch.as_tensor(first)]
    same = torch.isclose(kept[index].double(), targets.double(), equal_nan=True)
    differs = ~same.reshape(len(targets), -1).all(dim=1)
    if differs.any():
        name = str(names[codes[int(differs.nonzero()[0, 0])]])
        raise UserError(f"the images of examination {name!r} have different labels\nso it has no label of its own.")
    return (sums / counts).to(probabilities.dtype), kept, first
