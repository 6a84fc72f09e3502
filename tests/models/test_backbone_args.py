"""What of timm's arguments a user may set."""

from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from support.networks import source_file
from support.runs import make_task

from transfusion_cli.cli.data_cli import expected_size
from transfusion_cli.errors import UserError
from transfusion_cli.models.pretrained import build_network

WEIGHTS = [
    "checkpoint_path",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "pretrained_strict",
    "cache_dir",
]
ELSEWHERE = {
    "num_classes": "data",
    "num_outputs": "data",
    "in_chans": "--model.in_chans",
    "drop_rate": "--model.dropout",
    "image_size": "--data.image_size",
    "name": "--model.backbone",
    "model_name": "--model.backbone",
}


@pytest.mark.parametrize(
    ("argument", "instead"), [*((name, "--model.pretrained") for name in WEIGHTS), *ELSEWHERE.items()]
)
def test_nothing_but_the_key_for_it_brings_weights_classes_or_channels(tmp_path, argument: str, instead: str) -> None:
    args = {argument: source_file(tmp_path, seed=1)}
    before = torch.random.get_rng_state()
    for attempt in (
        lambda: make_task(tmp_path, backbone_args=args).build(),
        lambda: expected_size(Namespace(init_args=Namespace(backbone="cifar_resnet20", backbone_args=args))),
    ):
        with pytest.raises(UserError, match=f"cannot hold {argument}\n") as error:
            attempt()
        assert instead in str(error.value)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_checkpoint_path_cannot_come_in_by_the_back_door(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot hold checkpoint_path"):
        args = {"checkpoint_path": source_file(tmp_path, "resnet18")}
        build_network("resnet18", num_outputs=2, pretrained=False, backbone_args=args)


@pytest.mark.parametrize(
    ("backbone", "args", "said"),
    [
        ("resnet18", {"drop_path_rat": 0.1}, "takes no argument 'drop_path_rat'"),
        ("cifar_resnet20", {"depth": 3}, "takes no argument 'depth'|backbone_args: depth=3"),
        ("resnet18", {"drop_path_rate": "a"}, "drop_path_rate in backbone_args is a share.*'a'"),
        ("resnet18", {"drop_path_rate": 7}, "drop_path_rate in backbone_args is a share.*7"),
        ("resnet18", {"drop_block_rate": float("nan")}, "drop_block_rate in backbone_args is a share"),
        ("resnet18", {"block": "basic"}, "backbone_args: block='basic'"),
        ("resnet18", {"layers": [0, 1]}, "backbone_args: layers="),
        ("resnet18", {"output_stride": 5}, "AssertionError"),
        ("resnet18", {"act_layer": "bogus"}, "bogus"),
        ("resnet18", {"pruned": True}, "backbone_args: pruned=True"),
        ("resnet18", {"features_only": True}, "no classifier"),
        ("cbr_tiny", {"padding": "bogus"}, "padding of a CBR network"),
        ("vit_tiny_patch16_224", {"embed_dim": 7, "depth": 1}, "embed_dim=7, depth=1"),
        ("vit_tiny_patch16_224", {"img_size": "large"}, "img_size='large'"),
    ],
)
def test_odd_arguments_are_the_users_and_told_in_three_lines(backbone: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        build_network(backbone, num_outputs=2, pretrained=False, backbone_args=args)
    assert len(str(error.value).splitlines()) <= 3


def test_other_arguments_reach_the_network(tmp_path) -> None:
    task = make_task(tmp_path, backbone="resnet18", pretrained=False, backbone_args={"drop_path_rate": 0.2})
    task.build()
    assert task.network.layer4[1].drop_path.drop_prob == pytest.approx(0.2)


def test_a_fault_of_timms_own_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("transfusion_cli.models.pretrained.timm.create_model", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        build_network("resnet18", num_outputs=1, pretrained=False)
