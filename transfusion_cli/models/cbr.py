"""The small CBR networks of Raghu et al. 2019 (appendix), registered with timm.

Each block is convolution, batch norm, ReLU and 3x3 max-pooling by two; then come global average pooling and one linear
layer. Their text and their parameter table contradict each other on CBR-Tiny: ``cbr_tiny`` follows the table,
``cbr_tiny_text`` the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from timm.models import build_model_with_cfg, generate_default_cfgs
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.pooled_classifier import PooledClassifier, register

Padding = Literal["same", "valid"]


@dataclass(frozen=True)
class CBRPlan:
    """One member of the family.

    Args:
        kernel: side of every convolution kernel.
        widths: channels of each block.
        last_pool: whether the last block is pooled too.
    """

    kernel: int
    widths: tuple[int, ...]
    last_pool: bool = True


PLANS = {
    "cbr_larget": CBRPlan(7, (32, 64, 128, 256, 512), last_pool=False),  # LargeT(all): 8.5 million parameters
    "cbr_largew": CBRPlan(7, (64, 128, 256, 512)),  # LargeW(ide): 8.4 million
    "cbr_small": CBRPlan(7, (32, 64, 128, 256)),  # 2.1 million
    "cbr_tiny": CBRPlan(5, (32, 64, 128, 256)),  # as the paper's table counts it: 1.1 million
    "cbr_tiny_text": CBRPlan(5, (64, 128, 256, 512)),  # as the paper's text has it: 4.3 million
}


class CBRBlock(nn.Module):
    """Convolution, batch norm, ReLU and, as a rule, pooling: (B, ``in_width``, H, W) to (B, ``width``, H/2, W/2)."""

    def __init__(self, in_width: int, width: int, kernel: int, padding: Padding, pool: bool, **factory: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel, padding=padding, bias=False, **factory)
        self.bn = nn.BatchNorm2d(width, **factory)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the block."""
        maps: Tensor = self.pool(self.act(self.bn(self.conv(x))))
        return maps


class CBRNet(PooledClassifier):
    """A CBR network with timm's model interface.

    Args:
        plan: kernel and widths.
        padding: of the convolutions, which the paper does not tell: ``same`` or ``valid``.
        num_classes: outputs of the classifier ``fc``; 0 leaves it out.
        in_chans: input channels.
        global_pool: timm pooling type; ``""`` keeps the feature map.
        drop_rate: dropout before the classifier.
        **factory: ``device`` and ``dtype`` of the tensors.

    Raises:
        UserError: another padding.
    """

    def __init__(
        self,
        plan: CBRPlan,
        padding: Padding = "same",
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        **factory: Any,
    ) -> None:
        super().__init__(num_classes, drop_rate)
        if padding not in ("same", "valid"):
            raise UserError(f"the padding of a CBR network is same or valid, not {padding!r}.")
        self.in_chans = in_chans
        last = len(plan.widths) - 1
        blocks = [
            CBRBlock(width_in, width, plan.kernel, padding, i < last or plan.last_pool, **factory)
            for i, (width_in, width) in enumerate(zip((in_chans, *plan.widths), plan.widths, strict=False))
        ]
        self.stem, self.blocks = blocks[0], nn.Sequential(*blocks[1:])
        self.feature_info = [
            {
                "num_chs": width,
                "reduction": 2 ** (i + (i < last or plan.last_pool)),
                "module": f"blocks.{i - 1}" if i else "stem",
            }
            for i, width in enumerate(plan.widths)
        ]
        self.add_classifier(plan.widths[-1], global_pool, **factory)
        self.smallest_input = smallest_input(plan, padding)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Patterns that put parameters into stem, blocks and head, as timm's layer decay needs them."""
        return {"stem": r"^stem\.", "blocks": r"^blocks\.(\d+)"}

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to the last feature map.

        Raises:
            UserError: images too small for the blocks.
        """
        self._check_size(x)
        maps: Tensor = self.blocks(self.stem(x))
        return maps

    def feature_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images (B, C, H, W) to the map of each block, one after the other.

        Raises:
            UserError: images too small for the blocks.
        """
        self._check_size(x)
        for block in (self.stem, *self.blocks.children()):
            x = block(x)
            yield x

    def _check_size(self, x: Tensor) -> None:
        if min(x.shape[2:]) < self.smallest_input:
            raise UserError(
                f"images of {' x '.join(map(str, x.shape[2:]))} are too small for this CBR network\n"
                f"Use --data.image_size {self.smallest_input} or larger, or same padding."
            )


def smallest_input(plan: CBRPlan, padding: Padding) -> int:
    """Side of the smallest image that leaves the last block one pixel."""
    side = 1
    for i in reversed(range(len(plan.widths))):
        if i < len(plan.widths) - 1 or plan.last_pool:
            side = 2 * (side - 1) + 3
        if padding == "valid":
            side += plan.kernel - 1
    return side


CFG: dict[str, Any] = {
    "num_classes": 1000,
    "input_size": (3, 224, 224),
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "first_conv": "stem.conv",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({f"{name}.untrained": CFG for name in PLANS})


def _create(name: str, pretrained: bool, **kwargs: Any) -> CBRNet:
    plan = PLANS[name]
    features = {"out_indices": tuple(range(len(plan.widths))), "flatten_sequential": True}
    return build_model_with_cfg(CBRNet, name, pretrained, plan=plan, feature_cfg=features, **kwargs)


for _name in PLANS:
    register(_name, _create)
