"""The CIFAR ResNets of He et al. 2016 (section 4.2), registered with timm.

Three stages of width 16, 32 and 64 and parameter-free shortcuts (option A): 0.27 million parameters for
``cifar_resnet20``. They keep the full resolution in the first stage, which suits images of 28 to 64 pixels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs
from torch import Tensor, nn

from transfusion_cli.models.pooled_classifier import PooledClassifier, register
from transfusion_cli.models.shortcut import padded_shortcut

WIDTHS = (16, 32, 64)
DEPTHS = (20, 32, 44, 56, 110)
"""0.27, 0.46, 0.66, 0.85 and 1.73 million parameters."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and an identity shortcut: (B, C, H, W) to (B, ``width``, H / stride, W / stride).

    Where the shape changes, the shortcut takes every second pixel and pads the new channels with zeros (option A).
    """

    def __init__(self, in_width: int, width: int, stride: int, **factory: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, 3, stride, 1, bias=False, **factory)
        self.bn1 = nn.BatchNorm2d(width, **factory)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False, **factory)
        self.bn2 = nn.BatchNorm2d(width, **factory)
        self.act2 = nn.ReLU(inplace=True)
        self.stride = stride
        self.new_channels = width - in_width

    def forward(self, x: Tensor) -> Tensor:
        """Residual branch plus shortcut."""
        shortcut = x
        if self.stride > 1 or self.new_channels:
            half = self.new_channels // 2
            shortcut = padded_shortcut(x, self.stride, half, self.new_channels - half)
        x = self.act1(self.bn1(self.conv1(x)))
        maps: Tensor = self.act2(self.bn2(self.conv2(x)) + shortcut)
        return maps


class CifarResNet(PooledClassifier):
    """CIFAR-style ResNet with timm's model interface.

    Args:
        blocks: residual blocks per stage; the depth is ``6 * blocks + 2``.
        channels: width of each stage.
        num_classes: outputs of the classifier ``fc``; 0 leaves it out.
        in_chans: input channels.
        global_pool: timm pooling type; ``""`` keeps the feature map.
        drop_rate: dropout before the classifier.
        **factory: ``device`` and ``dtype`` of the tensors.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential

    def __init__(
        self,
        blocks: int,
        channels: tuple[int, ...] = WIDTHS,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        **factory: Any,
    ) -> None:
        super().__init__(num_classes, drop_rate)
        self.in_chans = in_chans
        self.conv1 = nn.Conv2d(in_chans, channels[0], 3, 1, 1, bias=False, **factory)
        self.bn1 = nn.BatchNorm2d(channels[0], **factory)
        self.act1 = nn.ReLU(inplace=True)
        self.feature_info = []
        in_width = channels[0]
        for stage, width in enumerate(channels):
            strides = [2 if stage else 1] + [1] * (blocks - 1)
            layers = [
                BasicBlock(width if i else in_width, width, stride, **factory) for i, stride in enumerate(strides)
            ]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            self.feature_info.append({"num_chs": width, "reduction": 2**stage, "module": f"layer{stage + 1}"})
            in_width = width
        self.add_classifier(channels[-1], global_pool, **factory)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Patterns that put parameters into stem, blocks (or stages) and head, as timm's layer decay needs them."""
        return {"stem": r"^(?:conv1|bn1)\.", "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"}

    def feature_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images (B, C, H, W) to the maps of the stages, the last of them (B, 64, H / 4, W / 4), rounded up."""
        x = self.act1(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3):
            x = layer(x)
            yield x


def checkpoint_filter_fn(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the head ``linear`` of the widespread CIFAR checkpoints to ``fc``."""
    return {f"fc{name[6:]}" if name.startswith("linear.") else name: tensor for name, tensor in state_dict.items()}


SHARED_CFG: dict[str, Any] = {
    "num_classes": 10,
    "input_size": (3, 32, 32),
    "pool_size": (8, 8),
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "first_conv": "conv1",
    "classifier": "fc",
}
# The weights that come with the package; mean and std are those in the file's metadata.
TEXTURES_CFG: dict[str, Any] = SHARED_CFG | {
    "file": str(Path(__file__).parents[1] / "weights" / "cifar_resnet20_textures.safetensors"),
    "num_classes": 20,
    "mean": (0.4459, 0.4454, 0.4467),
    "std": (0.2052, 0.2051, 0.2053),
}
# The star, which has to come later, makes a tag the one meant by the bare name: files from elsewhere expect the usual
# mean and std.
UNTRAINED_CFGS: dict[str, Any] = {f"cifar_resnet{depth}.untrained*": SHARED_CFG for depth in DEPTHS}
default_cfgs = generate_default_cfgs({"cifar_resnet20.textures": TEXTURES_CFG, **UNTRAINED_CFGS})


def _create(name: str, pretrained: bool, **kwargs: Any) -> CifarResNet:
    depth = int(name.removeprefix("cifar_resnet"))
    return build_model_with_cfg(
        CifarResNet,
        name,
        pretrained,
        blocks=(depth - 2) // 6,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": (0, 1, 2)},
        **kwargs,
    )


for _depth in DEPTHS:
    register(f"cifar_resnet{_depth}", _create)
