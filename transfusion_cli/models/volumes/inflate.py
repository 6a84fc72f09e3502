"""Kernels of two dimensions as kernels of three."""

from typing import Literal

import torch
from torch import Tensor

Inflation = Literal["centre", "mean", "acs"]

_WRONG = "BatchNorm statistics no longer fit, use statistics: reestimate or update"
MEANING: dict[str, str] = {
    "centre": "2-D kernels inflated by centre: each slice gives what the image gave, BatchNorm statistics stay right;"
    " what stays frozen looks at slices one by one, and not at those that strides skip",
    "mean": f"2-D kernels inflated by mean, repeated in depth: {_WRONG}",
    "acs": f"2-D kernels inflated by acs, a third along each plane: {_WRONG}",
}
"""What each way does, for the report on the weights."""


def inflate(kernel: Tensor, depth: int, mode: Inflation = "centre") -> Tensor:
    """A convolution's kernel in three dimensions, of its own depth.

    ``centre`` puts it into the middle slice among zeros, so that every slice is convolved as before. ``mean`` repeats
    it and divides by the depth (I3D, Carreira and Zisserman 2017): the same on what is constant in depth. ``acs`` deals
    the output channels to axial, coronal and sagittal planes (Yang et al. 2021, 1911.10477), the first ones getting
    what does not divide by three; each plane lies in the middle of its cube, which with zero padding convolves as the
    flat kernel does.

    Args:
        kernel: (O, I, H, W).
        depth: D.
        mode: which of the three.

    Returns:
        (O, I, D, H, W).
    """
    height, width = kernel.shape[-2:]
    if mode == "mean":
        return kernel.unsqueeze(2).repeat(1, 1, depth, 1, 1) / depth
    inflated = kernel.new_zeros(*kernel.shape[:2], depth, height, width)
    if mode == "centre" or depth == 1 or not depth == height == width:
        inflated[:, :, depth // 2] = kernel
        return inflated
    first, second, third = torch.arange(len(kernel)).tensor_split(3)
    inflated[first, :, depth // 2] = kernel[first]
    inflated[second, :, :, height // 2] = kernel[second]
    inflated[third, :, :, :, width // 2] = kernel[third]
    return inflated


def redrawn(kernel: Tensor, depth: int) -> Tensor:
    """A random kernel (O, I, D, H, W) in place of a random one (O, I, H, W).

    Its spread follows from the flat one's, which the architecture chose by the number of inputs of a unit; of those
    there are now ``depth`` times as many.
    """
    spread = (kernel.square().mean() / depth).sqrt()
    return torch.randn(*kernel.shape[:2], depth, *kernel.shape[2:], dtype=kernel.dtype, device=kernel.device) * spread
