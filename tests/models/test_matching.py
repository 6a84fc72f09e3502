"""What in a file beside a network's own weights is let pass, and what tells of another architecture."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

import transfusion_cli.models.pretrained  # noqa: F401 (registers our backbones)
from transfusion_cli.models.lookalike import lookalike
from transfusion_cli.models.matching import Match, Tensors, match


def network(name: str, **kwargs: object) -> nn.Module:
    """A network without memory: names and shapes are all that matching looks at."""
    with torch.device("meta"):
        return timm.create_model(name, **{"num_classes": 2, **kwargs})


def weights(name: str) -> Tensors:
    return dict(network(name, num_classes=10).state_dict())


def fit(name: str, source: Tensors, **kwargs: object) -> Match:
    return match(network(name, **kwargs), name, source)


def some(*names: str, like: Tensor | None = None) -> Tensors:
    return {name: torch.zeros(4, 4) if like is None else like for name in names}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


RESNET, VIT = "resnet18", "vit_tiny_patch16_224"
BESIDE = {
    "nothing": (RESNET, {}, ""),
    "projector in place of the classifier": (RESNET, some("fc.0.weight", "fc.2.weight", "fc.2.bias"), "backbone."),
    "projector beside": (RESNET, some("projector.0.weight", "projection_head.2.bias", "prototypes.weight"), ""),
    "momentum contrast": (
        RESNET,
        {**under("module.encoder_k.", weights(RESNET)), **some("module.queue", "module.queue_ptr")},
        "module.encoder_q.",
    ),
    "averaged copy": (RESNET, under("ema.module.", weights(RESNET)), "model."),
    "Lightning module": (RESNET, some("mean", "std", "loss.pos_weight", "bn1.weight"), "network."),
    "U-Net": (RESNET, some("decoder.blocks.0.conv1.0.weight", "segmentation_head.0.weight"), "encoder."),
    "detector": (
        RESNET,
        some("backbone.fpn.inner_blocks.0.0.weight", "rpn.head.conv.0.0.weight", "roi_heads.box_head.fc6.weight"),
        "backbone.body.",
    ),
    "segmentation with auxiliary classifier": (RESNET, some("aux_classifier.0.weight"), "backbone."),
    "counts of operations": (RESNET, some("conv1.total_ops", "layer1.0.total_params", like=torch.zeros(1)), ""),
    "index and mask": (VIT, some("blocks.0.attn.relative_position_index", like=torch.zeros(4, dtype=torch.int64)), ""),
    "auxiliary logits": ("inception_v3", some("AuxLogits.conv0.conv.weight", "AuxLogits.fc.weight"), ""),
    "self-distillation": (VIT, some("head.mlp.0.weight", "head.last_layer.weight_v"), "teacher."),
    "its head beside a norm": ("convnext_atto", some("head.mlp.0.weight", "head.last_layer.weight_g"), ""),
    "masked autoencoder": (VIT, some("mask_token", "decoder_pos_embed", "decoder_blocks.0.attn.qkv.weight"), ""),
    "distilled": (VIT, some("dist_token", "head_dist.weight"), ""),
}


@pytest.mark.parametrize(("name", "beside", "prefix"), BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("classes", [2, 0])
def test_what_real_checkpoints_hold_beside_is_let_pass(name: str, beside: Tensors, prefix: str, classes: int) -> None:
    found = fit(name, {**under(prefix, weights(name)), **beside}, num_classes=classes)
    assert found.whole and found.foreign == ()


@pytest.mark.parametrize(
    ("name", "made_with", "told", "example"),
    [
        ("cifar_resnet20", "cifar_resnet56", "cifar_resnet56", "layer1.3.conv1.weight"),
        ("resnet18", "resnet34", "resnet34", "layer1.2.conv1.weight"),
        ("resnet50", "seresnet50", None, "layer1.0.se.fc1.weight"),
        ("convnext_atto", "convnext_pico", None, None),  # other shapes, which count as missing
        ("vit_tiny_patch16_224", "vit_small_patch16_224", None, None),
    ],
)
def test_parts_of_another_architecture(name: str, made_with: str, told: str | None, example: str | None) -> None:
    source = under("module.backbone.", weights(made_with))
    found = fit(name, source)
    assert not found.whole
    assert found.foreign[:1] == ((example,) if example else ())
    assert set(found.foreign) <= set(found.unexpected)
    assert lookalike(network(name), source) == told


def test_more_stages_than_the_network_has() -> None:
    longer = weights("cifar_resnet20") | some("layer4.0.conv1.weight")
    assert fit("cifar_resnet20", longer).foreign == ("layer4.0.conv1.weight",)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lookalike_of_other_input_channels(channels: int) -> None:
    grey = dict(network("resnet34", in_chans=1).state_dict())
    grey = {key: torch.zeros_like(tensor, device="cpu") for key, tensor in grey.items()}
    assert lookalike(network("resnet18", in_chans=channels), grey) == "resnet34"
