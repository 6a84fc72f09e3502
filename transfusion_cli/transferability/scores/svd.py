"""The thin singular value decomposition, by the smaller of the two Gram matrices."""

import torch
from torch import Tensor


def thin_svd(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors and singular values, largest first; those that are zero but for rounding are left out.

    The eigenvectors of the smaller Gram matrix are several times cheaper than a decomposition of the matrix itself.
    What they cost is the directions with less than about a millionth of the largest singular value, where 32-bit
    features hold nothing but rounding either. The largest entry of each vector is positive: what depends on signs
    does not depend on the machine.

    Args:
        matrix: float64 (N, D).

    Returns:
        ``(N, k)`` and ``(k,)``.
    """
    rows, columns = matrix.shape
    squares, vectors = torch.linalg.eigh(matrix @ matrix.T if rows <= columns else matrix.T @ matrix)
    kept = squares > squares[-1] * max(rows, columns) * torch.finfo(matrix.dtype).eps
    values, vectors = squares[kept].flip(0).sqrt(), vectors[:, kept].flip(1)
    left = vectors if rows <= columns else matrix @ vectors / values
    return left * left.gather(0, left.abs().argmax(dim=0, keepdim=True)).sign(), values
