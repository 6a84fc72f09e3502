"""Layers of timm in three dimensions, where PyTorch has none to offer. Attributes and tensors are those of timm."""

import torch
import torch.nn.functional as F
from timm.layers.adaptive_avgmax_pool import AdaptiveAvgMaxPool2d, AdaptiveCatAvgMaxPool2d
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SPACE = (2, 3, 4)


Sides = int | tuple[int, ...]


def _each(sides: Sides) -> tuple[int, ...]:
    return 3 * (sides,) if isinstance(sides, int) else sides


def pad_same(x: Tensor, kernel: Sides, stride: Sides, dilation: Sides, value: float) -> Tensor:
    """Pad (B, C, D, H, W) so that a convolution gives ceil(side / stride), as TensorFlow does; the odd voxel behind."""
    padding: list[int] = []
    for side, k, s, d in zip(x.shape[2:], _each(kernel), _each(stride), _each(dilation), strict=True):
        total = max((-(-side // s) - 1) * s + (k - 1) * d + 1 - side, 0)
        padding = [total // 2, total - total // 2, *padding]  # F.pad counts from the last axis
    return F.pad(x, padding, value=value)


class Conv3dSame(nn.Conv3d):
    """``Conv2dSame``."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, D, H, W) to sides divided by the stride, rounded up."""
        x = pad_same(input, self.kernel_size, self.stride, self.dilation, 0)
        return F.conv3d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class ThinAvgPool3d(nn.AvgPool3d):
    """``nn.AvgPool2d``, that takes the mean of what there is where a volume has fewer slices than the kernel."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, D, H, W) to sides divided by the stride."""
        kernel, stride, padding = (_each(sides) for sides in (self.kernel_size, self.stride, self.padding))
        fitting = [min(k, side + 2 * p) for k, side, p in zip(kernel, input.shape[2:], padding, strict=True)]
        return F.avg_pool3d(input, fitting, stride, padding, self.ceil_mode, self.count_include_pad)


class AvgPool3dSame(nn.AvgPool3d):
    """``AvgPool2dSame``."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to sides divided by the stride, rounded up."""
        x = pad_same(x, self.kernel_size, self.stride, 1, 0)
        return F.avg_pool3d(x, self.kernel_size, self.stride, 0, self.ceil_mode, self.count_include_pad)


class MaxPool3dSame(nn.MaxPool3d):
    """``MaxPool2dSame``."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to sides divided by the stride, rounded up."""
        x = pad_same(x, self.kernel_size, self.stride, self.dilation, -torch.inf)
        return F.max_pool3d(x, self.kernel_size, self.stride, 0, self.dilation, self.ceil_mode)


class BatchNormAct3d(BatchNormAct2d):
    """``BatchNormAct2d``: normalisation, drop and activation. It stays one of those, for who asks (SyncBatchNorm)."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim != 5:
            raise ValueError(f"expected 5D input (got {x.ndim}D input)")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) of the same shape."""
        activated: Tensor = self.act(self.drop(_BatchNorm.forward(self, x)))
        return activated


def _squeezed(module: nn.Module, x: Tensor) -> Tensor:
    mean = x.mean(SPACE, keepdim=True)
    return 0.5 * mean + 0.5 * x.amax(SPACE, keepdim=True) if getattr(module, "add_maxpool", False) else mean


class SEModule3d(SEModule):
    """``SEModule``: gates channels by their mean over all three axes."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) of the same shape."""
        gated: Tensor = x * self.gate(self.fc2(self.act(self.bn(self.fc1(_squeezed(self, x))))))
        return gated


class EffectiveSEModule3d(EffectiveSEModule):
    """``EffectiveSEModule``."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) of the same shape."""
        gated: Tensor = x * self.gate(self.fc(_squeezed(self, x)))
        return gated


class SqueezeExcite3d(SqueezeExcite):
    """``SqueezeExcite`` of EfficientNet."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) of the same shape."""
        gated: Tensor = x * self.gate(self.conv_expand(self.act1(self.conv_reduce(_squeezed(self, x)))))
        return gated


class AdaptiveAvgMaxPool3d(nn.Module):
    """``AdaptiveAvgMaxPool2d``: half of the mean and half of the maximum."""

    output_size: int

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to the output size."""
        return 0.5 * (F.adaptive_avg_pool3d(x, self.output_size) + F.adaptive_max_pool3d(x, self.output_size))


class AdaptiveCatAvgMaxPool3d(nn.Module):
    """``AdaptiveCatAvgMaxPool2d``: the mean and the maximum, one after the other."""

    output_size: int

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to twice the channels."""
        return torch.cat((F.adaptive_avg_pool3d(x, self.output_size), F.adaptive_max_pool3d(x, self.output_size)), 1)


TWINS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: nn.Conv3d,
    Conv2dSame: Conv3dSame,
    nn.BatchNorm2d: nn.BatchNorm3d,
    BatchNormAct2d: BatchNormAct3d,
    nn.MaxPool2d: nn.MaxPool3d,
    MaxPool2dSame: MaxPool3dSame,
    nn.AvgPool2d: ThinAvgPool3d,
    AvgPool2dSame: AvgPool3dSame,
    nn.AdaptiveAvgPool2d: nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool2d: nn.AdaptiveMaxPool3d,
    AdaptiveAvgMaxPool2d: AdaptiveAvgMaxPool3d,
    AdaptiveCatAvgMaxPool2d: AdaptiveCatAvgMaxPool3d,
    nn.Dropout2d: nn.Dropout3d,
    SEModule: SEModule3d,
    EffectiveSEModule: EffectiveSEModule3d,
    SqueezeExcite: SqueezeExcite3d,
}
"""Each layer of two dimensions and what stands for it in three."""
