import pytest
import timm

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import head_names, in_head
from transfusion_cli.models.stages import prefix, stages

BLOCKS = {
    "resnet18": 4,
    "resnetv2_50": 4,
    "densenet121": 4,
    "efficientnet_b0": 7,
    "mobilenetv3_small_100": 6,
    "cifar_resnet20": 3,
    "cbr_larget": 4,
    "cbr_tiny": 3,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_tensor_but_the_heads_is_in_one_stage(name):
    network = timm.create_model(name, num_classes=3)
    parts = stages(network)
    assert list(parts) == ["conv1"] + [f"block{i + 1}" for i in range(BLOCKS[name])]
    names = [tensor for part in parts.values() for tensor in part]
    body = [tensor for tensor in network.state_dict() if not in_head(tensor, head_names(network))]
    assert sorted(names) == sorted(body)


def test_what_stands_before_the_classifier_goes_with_the_last_block():
    assert "norm.running_mean" in stages(timm.create_model("resnetv2_50"))["block4"]
    assert "features.norm5.weight" in stages(timm.create_model("densenet121"))["block4"]
    assert "conv_head.weight" in stages(timm.create_model("efficientnet_b0"))["block7"]


def test_inception_has_a_table():
    parts = stages(timm.create_model("inception_v3"))
    assert list(parts) == ["conv1", "conv2", "conv3", "conv4", "block1", "block2", "block3"]
    assert {name.split(".")[0] for name in parts["conv2"]} == {"Conv2d_2a_3x3", "Conv2d_2b_3x3"}
    assert {name[:7] for name in parts["block2"]} == {"Mixed_6"}


def test_prefix():
    network = timm.create_model("resnet18")
    kept = prefix(network, "block1")
    assert {name.split(".")[0] for name in kept} == {"conv1", "bn1", "layer1"}
    assert prefix(network, "block4") > kept
    with pytest.raises(UserError, match="no stage 'block5'"):
        prefix(network, "block5")
