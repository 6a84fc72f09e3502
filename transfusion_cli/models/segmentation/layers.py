"""What the decoders are made of, in two and in three dimensions."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
"""By dimensions. Dropout is of whole channels: what neighbours know of each other makes good for single pixels."""

LINEAR = {2: "bilinear", 3: "trilinear"}


def convolution(dims: int, in_width: int, width: int) -> nn.Sequential:
    """Convolution of 3 pixels a side, batch normalisation, ReLU."""
    layer = CONVOLUTION[dims](in_width, width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, BATCH_NORM[dims](width), nn.ReLU(inplace=True))


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Feature maps (B, C, *S) at another size, by nearest values, whose gradient is deterministic on every device."""
    return maps if maps.shape[2:] == tuple(size) else F.interpolate(maps, tuple(size), mode="nearest-exact")
