"""How many nats it takes to tell features to within a distortion."""

import torch
from torch import Tensor

DISTORTION = 1e-4
"""ε, the squared distortion, as published."""


def coding_rate(features: Tensor) -> float:
    """½ log det(1 + ZᵀZ / (n ε)) of n features Z (Ma et al. 2007), by the smaller of ZᵀZ and ZZᵀ.

    Args:
        features: (n, d), the origin as their mean.
    """
    n, d = features.shape
    gram = features @ features.T if n < d else features.T @ features
    gram = gram / (n * DISTORTION) + torch.eye(len(gram), dtype=gram.dtype)
    return 0.5 * float(torch.linalg.slogdet(gram).logabsdet)
