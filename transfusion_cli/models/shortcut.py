"""The shortcut without parameters (option A) of He et al. 2016."""

import torch.nn.functional as F
from torch import Tensor


def padded_shortcut(x: Tensor, stride: int, before: int, after: int) -> Tensor:
    """Take every ``stride``-th pixel or voxel and add channels of zeros.

    Args:
        x: (B, C, H, W) or (B, C, D, H, W).
        stride: along each axis of space.
        before: channels before the old ones.
        after: channels behind them.

    Returns:
        (B, before + C + after, ...), each side divided by the stride, rounded up.
    """
    axes = x.ndim - 2
    every = slice(None, None, stride)
    return F.pad(x[(slice(None), slice(None), *axes * (every,))], (*axes * (0, 0), before, after))
