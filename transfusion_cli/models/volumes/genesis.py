"""The 3-D U-Net of Models Genesis (Zhou et al. 2021, 2004.07882), whose names of tensors SuPreM's files share.

``genesis_unet3d`` is the whole of it, for segmentation; ``genesis_encoder3d`` its way down, for classification or
under another decoder.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs
from torch import Tensor, nn

from transfusion_cli.models.pooled_classifier import PooledClassifier, register
from transfusion_cli.models.volumes.any_size import AnySize

WIDTHS = (64, 128, 256, 512)

NOTES = {
    False: "their BatchNorm used the batch when predicting too, its averages never: use statistics: reestimate or "
    "update, or --model.backbone_args.batch_statistics true",
    True: "BatchNorm uses the batch when predicting too, as the weights were trained: predictions depend on its cases",
}
"""What to know of the weights, by whether batch statistics are always used."""


class AlwaysBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation by the statistics of the batch, in evaluation as in training; averages move in training."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, D, H, W) of the same shape."""
        if self.training:
            return super().forward(input)
        return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, in_width: int, width: int, always: bool, **factory: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_width, width, 3, padding=1, **factory)
        self.bn1 = (AlwaysBatchNorm3d if always else nn.BatchNorm3d)(width, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ``in_width``, D, H, W) to (B, ``width``, D, H, W)."""
        return F.relu(self.bn1(self.conv1(x)), inplace=True)


class Convolutions(nn.Module):
    """Two convolutions, by way of ``middle`` channels."""

    def __init__(self, in_width: int, middle: int, width: int, always: bool, **factory: Any) -> None:
        super().__init__()
        first = Convolution(in_width, middle, always, **factory)
        self.ops = nn.Sequential(first, Convolution(middle, width, always, **factory))

    def forward(self, x: Tensor) -> Tensor:
        """(B, ``in_width``, D, H, W) to (B, ``width``, D, H, W)."""
        maps: Tensor = self.ops(x)
        return maps


class Up(Convolutions):
    """Doubles the resolution of the map below, joins that of the way down, and convolves both."""

    def __init__(self, below: int, width: int, always: bool, **factory: Any) -> None:
        super().__init__(below + width, width, width, always, **factory)
        self.up_conv = nn.ConvTranspose3d(below, below, 2, 2, **factory)

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """Maps (B, ``below``, D, H, W) and (B, ``width``, 2D, 2H, 2W) to (B, ``width``, 2D, 2H, 2W)."""
        maps: Tensor = self(torch.cat([self.up_conv(x), skip], dim=1))
        return maps


def _add_way_down(network: nn.Module, in_chans: int, always: bool, **factory: Any) -> None:
    for in_width, width in zip((in_chans, *WIDTHS), WIDTHS, strict=False):
        network.add_module(f"down_tr{width}", Convolutions(in_width, width // 2, width, always, **factory))


def _way_down(network: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """The map of each resolution, fine first; poolings stand between them."""
    for width in WIDTHS:
        x = network.get_submodule(f"down_tr{width}")(F.max_pool3d(x, 2) if width > WIDTHS[0] else x)
        yield x


class GenesisEncoder3d(PooledClassifier):
    """The way down, and a classifier of its deepest map.

    Args:
        num_classes: outputs of the classifier ``fc``; 0 leaves it out.
        in_chans: input channels.
        global_pool: timm pooling type; ``""`` keeps the feature map.
        drop_rate: dropout before the classifier.
        batch_statistics: normalise by the batch in evaluation too, as the published network does.
        **factory: ``device`` and ``dtype`` of the tensors.
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_chans: int = 1,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        batch_statistics: bool = False,
        **factory: Any,
    ) -> None:
        super().__init__(num_classes, drop_rate)
        self.in_chans, self.weights_notes = in_chans, (NOTES[batch_statistics],)
        _add_way_down(self, in_chans, batch_statistics, **factory)
        self.feature_info = [
            {"num_chs": width, "reduction": 2**i, "module": f"down_tr{width}"} for i, width in enumerate(WIDTHS)
        ]
        self.add_classifier(WIDTHS[-1], global_pool, **factory)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Patterns that put parameters into stem, blocks and head, as timm's layer decay needs them."""
        return {"stem": r"^down_tr64\.", "blocks": r"^down_tr(\d+)"}

    def feature_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Volumes (B, C, D, H, W) to the map of each resolution, the last of them (B, 512, D / 8, H / 8, W / 8)."""
        return _way_down(self, x)


class GenesisUNet3d(nn.Module):
    """The whole network: (B, C, D, H, W) to logits (B, K, D, H, W), of any size.

    Args:
        num_classes: channels of the logits; 0 leaves out the last convolution.
        in_chans: input channels.
        drop_rate: dropout of channels before the last convolution.
        batch_statistics: normalise by the batch in evaluation too, as the published network does.
        **factory: ``device`` and ``dtype`` of the tensors.
    """

    decoder_names: ClassVar[tuple[str, ...]] = tuple(f"up_tr{width}" for width in reversed(WIDTHS[:-1]))

    def __init__(
        self,
        num_classes: int = 2,
        in_chans: int = 1,
        drop_rate: float = 0.0,
        batch_statistics: bool = False,
        **factory: Any,
    ) -> None:
        super().__init__()
        self.num_classes, self.in_chans, self.weights_notes = num_classes, in_chans, (NOTES[batch_statistics],)
        _add_way_down(self, in_chans, batch_statistics, **factory)
        for width in reversed(WIDTHS[:-1]):
            self.add_module(f"up_tr{width}", Up(2 * width, width, batch_statistics, **factory))
        self.drop = nn.Dropout3d(drop_rate)
        final = nn.Conv3d(WIDTHS[0], num_classes, 1, **factory) if num_classes else nn.Identity()
        self.out_tr = nn.ModuleDict({"final_conv": final})
        AnySize(self, 2 ** (len(WIDTHS) - 1))

    group_matcher = GenesisEncoder3d.group_matcher

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        *skips, x = _way_down(self, x)
        for width, skip in zip(reversed(WIDTHS[:-1]), reversed(skips), strict=True):
            up = self.get_submodule(f"up_tr{width}")
            assert isinstance(up, Up)
            x = up.join(x, skip)
        logits: Tensor = self.out_tr["final_conv"](self.drop(x))
        return logits


CFG: dict[str, Any] = {
    "num_classes": 2,
    "input_size": (1, 64, 64),
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.0,),  # Hounsfield units from -1000 to 1000 as 0 to 1
    "std": (1.0,),
    "first_conv": "down_tr64.ops.0.conv1",
}
MODELS: dict[str, tuple[type[nn.Module], str]] = {
    "genesis_unet3d": (GenesisUNet3d, "out_tr.final_conv"),
    "genesis_encoder3d": (GenesisEncoder3d, "fc"),
}
"""Each network and its head."""

default_cfgs = generate_default_cfgs(
    {f"{name}.untrained": CFG | {"classifier": head} for name, (_, head) in MODELS.items()}
)


def _create(name: str, pretrained: bool, **kwargs: Any) -> nn.Module:
    network: Any = build_model_with_cfg(MODELS[name][0], name, pretrained, **{"in_chans": 1, **kwargs})
    network.pretrained_cfg["input_size"] = (1, 64, 64, 32)  # timm's own checks want three numbers
    made: nn.Module = network
    return made


for _name in MODELS:
    register(_name, _create)
