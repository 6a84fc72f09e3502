"""Whole 3-D segmentation networks of MONAI, with batch normalisation. MONAI is imported when one of them is built."""

from collections.abc import Callable
from functools import partial
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs
from torch import nn

from transfusion_cli.models.pooled_classifier import register
from transfusion_cli.models.volumes.any_size import AnySize


def _dynunet(
    num_classes: int, in_chans: int, drop_rate: float = 0.0, levels: int = 5, filters: list[int] | None = None
) -> nn.Module:
    """``DynUNet``, nnU-Net's architecture, of so many resolutions."""
    from monai.networks.nets.dynunet import DynUNet

    strides = [1, *(levels - 1) * [2]]
    network: nn.Module = DynUNet(
        3,
        in_chans,
        max(num_classes, 1),
        kernel_size=levels * [3],
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=filters,
        dropout=drop_rate or None,
        norm_name="batch",
    )
    # Holds every layer a second time, under second names. Unregistered it holds the same objects still.
    network.__dict__["skip_layers"] = network._modules.pop("skip_layers")
    return _described(
        network,
        decoder=[f"upsamples.{i}" for i in range(levels - 1)],
        groups={"stem": r"^input_block\.", "blocks": [(r"^downsamples\.(\d+)", None), (r"^bottleneck\.", (99,))]},
        multiple=2 ** (levels - 1),
    )


def _segresnet(
    num_classes: int, in_chans: int, drop_rate: float = 0.0, levels: int = 4, filters: int = 16
) -> nn.Module:
    """``SegResNet``, of so many resolutions, ``filters`` wide in the finest."""
    from monai.networks.nets.segresnet import SegResNet

    network: nn.Module = SegResNet(
        3,
        filters,
        in_chans,
        max(num_classes, 1),
        dropout_prob=drop_rate or None,
        norm=("batch", {}),
        blocks_down=(1, *(levels - 2) * (2,), 4),
        blocks_up=(levels - 1) * (1,),
    )
    ups = [f"{kind}.{i}" for i in range(levels - 1) for kind in ("up_samples", "up_layers")]
    return _described(
        network,
        decoder=[*ups, "conv_final.0"],
        groups={"stem": r"^convInit\.", "blocks": r"^down_layers\.(\d+)"},
        multiple=2 ** (levels - 1),
    )


def _described(network: Any, decoder: list[str], groups: dict[str, Any], multiple: int) -> nn.Module:
    """The network with what ours say of themselves."""
    network.decoder_names = tuple(decoder)
    network.group_matcher = partial(_groups, groups)
    AnySize(network, multiple)
    described: nn.Module = network
    return described


def _groups(groups: dict[str, Any], coarse: bool = False) -> dict[str, Any]:
    return groups


CFG: dict[str, Any] = {
    "num_classes": 2,
    "input_size": (1, 64, 64),
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.0,),
    "std": (1.0,),
}
MODELS: dict[str, tuple[Callable[..., nn.Module], str, str]] = {
    "monai_dynunet": (_dynunet, "input_block.conv1.conv", "output_block.conv.conv"),
    "monai_segresnet": (_segresnet, "convInit.conv", "conv_final.2.conv"),
}
"""Each network, its first convolution and its head."""

default_cfgs = generate_default_cfgs(
    {f"{name}.untrained": CFG | {"first_conv": first, "classifier": head} for name, (_, first, head) in MODELS.items()}
)


def _create(name: str, pretrained: bool, num_classes: int = 2, in_chans: int = 1, **kwargs: Any) -> nn.Module:
    make, _, head = MODELS[name]
    network: Any = build_model_with_cfg(make, name, pretrained, num_classes=num_classes, in_chans=in_chans, **kwargs)
    network.num_classes, network.in_chans = num_classes, in_chans
    network.pretrained_cfg["input_size"] = (1, 64, 64, 64)  # timm's own checks want three numbers
    if not num_classes:
        network.set_submodule(head, nn.Identity())
    made: nn.Module = network
    return made


for _name in MODELS:
    register(_name, _create)
