"""MedicalNet's ResNet from its description, in plain PyTorch: a reference for ours.

Stem of 7 x 7 x 7 with stride 2, batch normalisation, ReLU, max-pooling of 3 with stride 2; four stages with strides
1, 2, 1, 1 and dilations 1, 1, 2, 4; shortcut A for depths 18 and 34, else B.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class Block(nn.Module):
    def __init__(self, inside: int, width: int, stride: int, dilation: int, deep: bool, option_a: bool) -> None:
        super().__init__()
        out = width * (4 if deep else 1)
        three = {"padding": dilation, "dilation": dilation, "bias": False}
        if deep:
            self.conv1 = nn.Conv3d(inside, width, 1, bias=False)
            self.conv2 = nn.Conv3d(width, width, 3, stride, **three)
            self.conv3 = nn.Conv3d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm3d(out)
        else:
            self.conv1 = nn.Conv3d(inside, width, 3, stride, **three)
            self.conv2 = nn.Conv3d(width, width, 3, **three)
        self.bn1, self.bn2 = nn.BatchNorm3d(width), nn.BatchNorm3d(width)
        self.deep, self.stride, self.out = deep, stride, out
        self.changes = stride != 1 or inside != out
        if self.changes and not option_a:
            self.downsample = nn.Sequential(nn.Conv3d(inside, out, 1, stride, bias=False), nn.BatchNorm3d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        if not self.changes:
            return x
        if hasattr(self, "downsample"):
            return self.downsample(x)
        x = F.avg_pool3d(x, kernel_size=1, stride=self.stride)
        zeros = torch.zeros(len(x), self.out - x.shape[1], *x.shape[2:], dtype=x.dtype)
        return torch.cat([x, zeros], dim=1)


class MedicalNet(nn.Module):
    """Up to the last feature map; ``conv_seg`` stands for the segmentation head that the files have."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        deep, option_a, inside = depth >= 50, depth in (18, 34), 64
        plan = zip(LAYERS[depth], (64, 128, 256, 512), (1, 2, 1, 1), (1, 1, 2, 4), strict=True)
        for stage, (blocks, width, stride, dilation) in enumerate(plan, start=1):
            layers = []
            for i in range(blocks):
                layers.append(Block(inside, width, 1 if i else stride, dilation, deep, option_a))
                inside = layers[-1].out
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.conv_seg = nn.Sequential(nn.ConvTranspose3d(inside, 32, 2, 2), nn.BatchNorm3d(32), nn.Conv3d(32, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
