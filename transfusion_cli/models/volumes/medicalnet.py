"""The ResNets of MedicalNet (Chen et al. 2019, 1904.00625), registered with timm under its names of tensors.

They are timm's in three dimensions but for two things: the last two stages keep their resolution and dilate their
kernels by two and four instead, in each block (timm begins one block later), and depths 18 and 34 have shortcuts
without parameters (option A).
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from transfusion_cli.models.pooled_classifier import register
from transfusion_cli.models.shortcut import padded_shortcut
from transfusion_cli.models.volumes.swap import in_three_dimensions

LAYERS = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
"""Blocks of each stage, by depth."""

BASIC, WITHOUT_PARAMETERS = (10, 18, 34), (18, 34)
"""Depths with two convolutions a block, and those with option A."""

DILATION = {"layer3": 2, "layer4": 4}


class PaddedShortcut(nn.Module):
    """Option A: (B, C, ...) to (B, ``width``, ...) by taking every ``stride``-th voxel and adding channels of zeros."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.width, self.stride = width, stride

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut's maps."""
        return padded_shortcut(x, self.stride, 0, self.width - x.shape[1])


CFG: dict[str, Any] = {
    "num_classes": 1000,
    "input_size": (1, 64, 64),
    "pool_size": (8, 8),
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.0,),  # each volume has its own taken off, outside of the network
    "std": (1.0,),
    "first_conv": "conv1",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({f"medicalnet_resnet{depth}.untrained": CFG for depth in LAYERS})


def _create(name: str, pretrained: bool, **kwargs: Any) -> nn.Module:
    depth = int(name.removeprefix("medicalnet_resnet"))
    network: Any = build_model_with_cfg(
        ResNet,
        name,
        pretrained,
        block=BasicBlock if depth in BASIC else Bottleneck,
        layers=LAYERS[depth],
        **{"in_chans": 1, "output_stride": 8, **kwargs},
    )
    in_three_dimensions(network)
    network.pretrained_cfg["input_size"] = (1, 64, 64, 64)  # timm's own checks want three numbers
    for stage, dilation in DILATION.items():
        for layer in network.get_submodule(stage).modules():
            if isinstance(layer, nn.Conv3d) and layer.kernel_size[0] == 3:
                layer.dilation = layer.padding = (dilation, dilation, dilation)
    if depth in WITHOUT_PARAMETERS:
        for block in network.modules():
            if isinstance(block, BasicBlock) and block.downsample is not None:
                block.downsample = PaddedShortcut(block.conv2.out_channels, block.stride)
    made: nn.Module = network
    return made


for _depth in LAYERS:
    register(f"medicalnet_resnet{_depth}", _create)
