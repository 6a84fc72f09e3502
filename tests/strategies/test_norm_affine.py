"""Scale and shift of every kind of normalisation layer."""

import pytest
import timm
from support.adapted import adapted_task, fit
from support.runs import make_task, moved, snapshot
from support.segmentation import make_network
from timm.layers import RmsNorm
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.norms import norm_layers
from transfusion_cli.strategies import BatchNormAffine, NormAffine
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import parameter_groups


@pytest.mark.parametrize(
    ("backbone", "scales", "shifts"),
    [
        ("test_vit", 13, 13),  # two a block, one before the head
        ("test_vit4", 19, 0),  # RMSNorm has no shift
        ("test_convnext", 14, 14),
        ("test_efficientnet_gn", 13, 13),
        ("test_efficientnet_evos", 13, 13),
        ("cifar_resnet20", 19, 19),
    ],
)
def test_what_is_left_is_the_bias_or_the_layer_scale_of_something_else(backbone, scales, shifts):
    network = timm.create_model(backbone, num_classes=2)
    parts = NormAffine().regroup(NetworkParts.of(network))
    others = {f"{name}.bias" for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)} | {
        name for name in parts.names if name.endswith((".gamma", ".v"))
    }
    assert {*parts.scale, *parts.shift} == parts.flat - others
    assert (len(parts.scale), len(parts.shift)) == (scales, shifts)


def test_every_kind_is_found():
    kinds = [nn.BatchNorm1d(2), nn.InstanceNorm3d(2, affine=True), nn.LayerNorm(2), nn.GroupNorm(1, 2), nn.RMSNorm(2)]
    network = nn.Sequential(*kinds, RmsNorm(2), timm.layers.LayerNormAct2d(2), nn.Linear(2, 2))
    assert list(norm_layers(network)) == [str(number) for number in range(7)]


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext"])
def test_they_train_with_the_head_and_nothing_else_moves(backbone, tmp_path):
    task = adapted_task(tmp_path, NormAffine(lr={"scale_and_shift": 0.05}), backbone)
    task.build()
    parts, before = task.transferred.parts, snapshot(task)
    fit(tmp_path, task)
    assert moved(before, snapshot(task)) == set(parts.scale + parts.shift + parts.head)
    groups = parameter_groups(task.network, task.phase, parts, lr=1.0, weight_decay=0.1)
    assert {group["name"]: group["lr"] for group in groups} == {
        "head": 1.0,
        "head/no_decay": 1.0,
        "scale_and_shift": 0.05,
    }
    assert "lr 0.05" in task.audit()
    task.train()  # features that are merely rescaled are the same in training
    assert {name for name, module in task.network.named_modules() if module.training and "drop" in name} <= {
        "head_drop",
        "head.drop",
    }


@pytest.mark.parametrize("options", [{}, {"affine": "scale"}, {"statistics": "update", "head_epochs": 1}])
def test_it_is_batch_norm_affine_where_there_is_nothing_else(options, tmp_path):
    plans = []
    for strategy in (BatchNormAffine(**options), NormAffine(**options)):
        task = make_task(tmp_path, strategy)
        task.build()
        plans.append((task.plan, task.audit()))
    assert plans[0] == plans[1]


def test_a_fresh_decoder_trains_whole_or_by_its_norms(tmp_path):
    own = make_network(tmp_path, NormAffine())
    assert set(own.plan[0].trainable) == {*own.parts.scale, *own.parts.shift, *own.parts.new}
    little = make_network(tmp_path, NormAffine(decoder="affine"))
    assert {name for name in little.plan[0].trainable if name.startswith("decoder")} == {
        f"{layer}.{ending}" for layer in own.parts.norms if layer.startswith("decoder") for ending in ("weight", "bias")
    }


def test_learning_rates_of_full_fine_tuning_mean_what_they_meant(tmp_path):
    task = adapted_task(tmp_path, None)
    task.build()
    parts = task.transferred.parts
    assert not parts.scale and parts.group_of("blocks.0.norm1.weight") == "rest"


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="NormAffine needs a network with normalisation layers") as caught:
        make_task(tmp_path, NormAffine(), backbone="test_nfnet", pretrained=False).build()
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(UserError, match=r"--model\.transfer NormAffine"):
        make_task(tmp_path, BatchNormAffine(), backbone="test_vit", pretrained=False).build()
    with pytest.raises(UserError, match="no shift parameters"):
        make_task(tmp_path, NormAffine(affine="shift"), backbone="test_vit4", pretrained=False).build()


def test_a_layer_without_scale_and_shift_has_nothing_to_train():
    network = nn.Sequential(nn.LayerNorm(3, elementwise_affine=False), nn.Linear(3, 2))
    parts = NormAffine().regroup(NetworkParts.of(network))
    assert parts.norms == ("0",) and not parts.scale
