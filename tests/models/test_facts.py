from __future__ import annotations

import pytest
import timm

import transfusion_cli.models  # noqa: F401 (registers our backbones)
from transfusion_cli.models.facts import head_names, in_head, input_size, normalisation

HEADS = {
    "cifar_resnet20": ("fc",),
    "resnet18": ("fc",),
    "densenet121": ("classifier",),
    "efficientnet_b0": ("classifier",),
    "inception_v3": ("fc",),
    "vit_tiny_patch16_224": ("head",),
    "convnext_atto": ("head.fc",),
    "deit_tiny_distilled_patch16_224": ("head", "head_dist"),
}


@pytest.mark.parametrize("name", HEADS)
def test_head_names(name: str) -> None:
    network = timm.create_model(name, num_classes=7, device="meta")
    assert head_names(network) == HEADS[name]
    outputs = [parameter for key, parameter in network.named_parameters() if in_head(key, HEADS[name])]
    assert {parameter.shape[0] for parameter in outputs} == {7}
    assert head_names(timm.create_model(name, num_classes=0, device="meta")) == ()


def test_a_name_that_only_begins_like_the_head_is_not_in_it() -> None:
    assert in_head("head.weight", ("head",))
    assert not in_head("head_norm.weight", ("head",))


def test_normalisation_follows_the_input_channels() -> None:
    def of(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return normalisation(timm.create_model("cifar_resnet20", in_chans=channels, device="meta"))

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert of(3) == (mean, std)
    assert of(1) == (pytest.approx((0.449,)), pytest.approx((0.226,)))
    assert of(4) == ((*mean, mean[0]), (*std, std[0]))


def test_normalisation_is_that_of_the_weights() -> None:
    network = timm.create_model("vit_tiny_patch16_224.augreg_in21k_ft_in1k", device="meta")
    assert normalisation(network) == ((0.5,) * 3, (0.5,) * 3)


def test_input_size() -> None:
    assert input_size(timm.create_model("cifar_resnet20", in_chans=1, device="meta")) == (1, 32, 32)
    assert input_size(timm.create_model("inception_v3", device="meta")) == (3, 299, 299)
    assert input_size(timm.create_model("vit_tiny_patch16_224", img_size=64, device="meta")) == (3, 64, 64)
