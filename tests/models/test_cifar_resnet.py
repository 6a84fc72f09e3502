from __future__ import annotations

import json

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors import safe_open

from transfusion_cli.models.cifar_resnet import BasicBlock, checkpoint_filter_fn
from transfusion_cli.models.facts import normalisation
from transfusion_cli.models.pretrained import build_network


@pytest.mark.parametrize(
    ("depth", "millions", "parameters"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_sizes_are_those_of_the_paper(depth: int, millions: float, parameters: int) -> None:
    network = timm.create_model(f"cifar_resnet{depth}", device="meta")
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == parameters
    assert count / 1e6 == pytest.approx(millions, abs=0.03)
    weighted = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weighted) == depth


def test_shortcut_subsamples_and_pads_with_zeros() -> None:
    block = BasicBlock(4, 8, stride=2).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # the residual branch gives zero
    x = torch.rand(2, 4, 5, 7)
    out = block(x)
    assert torch.equal(out[:, 2:6], x[:, :, ::2, ::2])
    assert not out[:, :2].any() and not out[:, 6:].any()


@pytest.mark.parametrize(("height", "width"), [(28, 28), (33, 21), (64, 48)])
def test_any_input_size(height: int, width: int) -> None:
    network = timm.create_model("cifar_resnet20", num_classes=3, in_chans=1).eval()
    x = torch.rand(2, 1, height, width)
    features = network.forward_features(x)
    assert features.shape == (2, 64, -(-height // 4), -(-width // 4))
    assert network(x).shape == (2, 3)
    expected = F.linear(features.mean((2, 3)), network.fc.weight, network.fc.bias)
    torch.testing.assert_close(network(x), expected)


def test_classifier_interface() -> None:
    network = timm.create_model("cifar_resnet20", num_classes=0)
    x = torch.rand(2, 3, 16, 16)
    assert network(x).shape == (2, 64)
    network.bn1.eval()
    network.reset_classifier(5)
    assert network.get_classifier(name_only=True) == "fc"
    assert network.get_classifier().out_features == network.num_classes == 5
    assert network.fc.training and not network.bn1.training
    network.eval()
    torch.testing.assert_close(network.forward_head(network.forward_features(x), pre_logits=True).shape, (2, 64))
    network.reset_classifier(0, "")
    assert network(x).shape == (2, 64, 4, 4)


def test_head_dropout_acts_in_training_alone() -> None:
    network = timm.create_model("cifar_resnet20", drop_rate=0.5).eval()
    features = torch.ones(1, 64, 4, 4)
    assert torch.equal(network.forward_head(features, pre_logits=True), torch.ones(1, 64))
    assert 0 < int((network.train().forward_head(features, pre_logits=True) == 0).sum()) < 64


def test_features_only_gives_the_three_stages() -> None:
    network = timm.create_model("cifar_resnet20", features_only=True)
    shapes = [tuple(feature.shape) for feature in network(torch.rand(1, 3, 32, 32))]
    assert shapes == [(1, 16, 32, 32), (1, 32, 16, 16), (1, 64, 8, 8)]
    assert network.feature_info.channels() == [16, 32, 64]
    assert network.feature_info.reduction() == [1, 2, 4]


def test_layer_decay_groups_run_from_stem_to_head() -> None:
    from timm.optim import param_groups_layer_decay

    network = timm.create_model("cifar_resnet20")
    groups = param_groups_layer_decay(network, layer_decay=0.5)
    scales = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    ordered = [network.conv1, network.layer1[0].conv1, network.layer3[2].conv2, network.fc]
    of = [scales[id(module.weight)] for module in ordered]
    assert of == sorted(of) and len(set(of)) == 4


def test_filter_renames_the_common_head() -> None:
    tensor = torch.zeros(1)
    assert set(checkpoint_filter_fn({"linear.bias": tensor, "conv1.weight": tensor}, torch.nn.Identity())) == {
        "fc.bias",
        "conv1.weight",
    }


def test_the_shipped_weights_are_declared_as_their_file_says():
    config = timm.models.get_pretrained_cfg("cifar_resnet20.textures")
    with safe_open(config.file, framework="pt") as file:
        metadata = file.metadata()
        classes = file.get_slice("fc.weight").get_shape()[0]
    assert json.loads(metadata["mean"]) == pytest.approx(config.mean)
    assert json.loads(metadata["std"]) == pytest.approx(config.std)
    assert tuple(json.loads(metadata["input_size"])) == config.input_size
    assert classes == config.num_classes


def test_the_bare_name_means_no_shipped_weights():
    config = timm.models.get_pretrained_cfg("cifar_resnet20")
    assert config.tag == "untrained" and not config.has_weights
    assert config.mean == (0.485, 0.456, 0.406)


def test_the_shipped_weights_load_without_a_network_connection():
    network, report = build_network("cifar_resnet20.textures", num_outputs=5)
    assert report.complete and not any(name.startswith("fc.") for name in report.matched)
    assert network.fc.weight.shape == (5, 64)
    assert normalisation(network)[0] == pytest.approx((0.4459, 0.4454, 0.4467))
