from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from support.runs import make_task
from torch import Tensor, nn

import transfusion_cli.models.pretrained as pretrained_module
from transfusion_cli.errors import UserError
from transfusion_cli.models.base_weights import BaseWeights
from transfusion_cli.models.facts import normalisation
from transfusion_cli.models.pretrained import build_network

NAME = "cifar_resnet20"


@pytest.fixture(scope="module")
def source() -> dict[str, Tensor]:
    """A network with random weights and statistics, as a timm state dict with ten classes."""
    torch.manual_seed(0)
    state = timm.create_model(NAME).state_dict()
    return {k: torch.rand_like(v) + 0.1 if v.is_floating_point() else v + 7 for k, v in state.items()}


def body(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


def assert_loaded(network: nn.Module, source: dict[str, Tensor]) -> None:
    state = network.state_dict()
    assert [name for name in body(source) if not torch.equal(state[name], source[name])] == []


def test_the_widespread_cifar_files(tmp_path: Path, source: dict[str, Tensor]) -> None:
    renamed = {f"module.{k.replace('fc.', 'linear.')}": v for k, v in source.items() if "num_batches" not in k}
    path = tmp_path / "resnet20.th"
    torch.save({"state_dict": renamed, "best_prec1": 91.78}, path, _use_new_zipfile_serialization=False)
    network, report = build_network(NAME, num_outputs=2, pretrained=path)
    assert_loaded(network, {k: v for k, v in source.items() if "num_batches" not in k})
    assert report.complete and not report.unexpected and not report.adapted
    assert set(report.matched) == {name for name in body(source) if "num_batches" not in name}
    assert report.head == ("fc.weight", "fc.bias")
    assert report.source == str(path)
    assert "95 of 95 tensors" in report.summary() and "head fresh" in report.summary()
    assert network(torch.rand(2, 3, 28, 28)).shape == (2, 2)


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "_orig_mod.", "_orig_mod.module.", "model.", "network.", "backbone.", "encoder."),
        *("module.encoder_q.", "network.model.model."),
    ],
)
def test_prefixes(tmp_path: Path, source: dict[str, Tensor], prefix: str) -> None:
    torch.save({prefix + name: tensor for name, tensor in source.items()}, tmp_path / "w.pt")
    network, report = build_network(NAME, num_outputs=1, pretrained=str(tmp_path / "w.pt"))
    assert_loaded(network, source)
    assert report.complete


def test_lightning_checkpoint_with_other_modules(tmp_path: Path, source: dict[str, Tensor]) -> None:
    state = {f"network.{name}": tensor for name, tensor in source.items()} | {"loss.pos_weight": torch.ones(3)}
    checkpoint = {"state_dict": state, "epoch": 1, "pytorch-lightning_version": "2.6", "hyper_parameters": {"lr": 0.1}}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    network, report = build_network(NAME, num_outputs=3, pretrained=tmp_path / "last.ckpt")
    assert_loaded(network, source)
    assert report.unexpected == ("loss.pos_weight",)


def test_numbered_children_of_a_sequential(tmp_path: Path, source: dict[str, Tensor]) -> None:
    whole = timm.create_model(NAME)
    whole.load_state_dict(source)
    headless = nn.Sequential(*list(whole.children())[:-2]).state_dict()
    assert "0.weight" in headless
    torch.save({f"backbone.{name}": tensor for name, tensor in headless.items()}, tmp_path / "w.pt")
    network, report = build_network(NAME, num_outputs=1, pretrained=tmp_path / "w.pt")
    assert_loaded(network, source)
    assert report.complete


@pytest.mark.parametrize("classes", [2, 10])
def test_the_head_is_fresh_even_where_it_would_fit(tmp_path: Path, source: dict[str, Tensor], classes: int) -> None:
    save_file(source, tmp_path / "w.safetensors")
    torch.manual_seed(1)
    network, report = build_network(NAME, num_outputs=classes, pretrained=tmp_path / "w.safetensors")
    torch.manual_seed(1)
    random, _ = build_network(NAME, num_outputs=classes, pretrained=False)
    assert torch.equal(network.fc.weight, random.fc.weight)
    assert "fc.weight" not in report.matched and "fc.weight" not in report.missing


def test_the_hash_is_that_of_the_content(tmp_path: Path, source: dict[str, Tensor]) -> None:
    torch.save({"state_dict": {f"module.{k}": v for k, v in reversed(source.items())}}, tmp_path / "a.pth")
    save_file(source, tmp_path / "b.safetensors")
    for outputs, file in ((1, "a.pth"), (4, "b.safetensors")):
        network, report = build_network(NAME, num_outputs=outputs, pretrained=tmp_path / file)
        assert set(report.matched) == set(body(source))
        assert BaseWeights.of(network.state_dict(), report).sha256 == BaseWeights.of(source, report).sha256


@pytest.mark.parametrize(
    ("channels", "rule"),
    [
        (1, lambda weight: weight.sum(1, keepdim=True)),
        (2, lambda weight: weight[:, :2] * 3 / 2),
        (4, lambda weight: weight[:, [0, 1, 2, 0]] * 3 / 4),
    ],
)
def test_input_channels(
    tmp_path: Path, source: dict[str, Tensor], channels: int, rule: Callable[[Tensor], Tensor]
) -> None:
    save_file(source, tmp_path / "w.safetensors")
    network, report = build_network(NAME, num_outputs=1, in_chans=channels, pretrained=tmp_path / "w.safetensors")
    assert report.complete and report.adapted == ("conv1.weight",)
    assert "adapted" in report.summary()
    torch.testing.assert_close(network.conv1.weight.detach(), rule(source["conv1.weight"]))
    assert len(normalisation(network)[0]) == channels


def test_input_channels_of_a_grey_source(tmp_path: Path, source: dict[str, Tensor]) -> None:
    grey = source | {"conv1.weight": source["conv1.weight"][:, :1].clone()}
    save_file(grey, tmp_path / "w.safetensors")
    network, report = build_network(NAME, num_outputs=1, in_chans=3, pretrained=tmp_path / "w.safetensors")
    assert report.adapted == ("conv1.weight",)
    torch.testing.assert_close(network.conv1.weight.detach(), grey["conv1.weight"].expand(-1, 3, -1, -1) / 3)


def test_facts_in_the_file_override_those_of_the_architecture(tmp_path: Path, source: dict[str, Tensor]) -> None:
    save_file(source, tmp_path / "w.safetensors", {"mean": json.dumps([0.5, 0.25, 0.75]), "std": "[0.1, 0.1, 0.1]"})
    network, _ = build_network(NAME, num_outputs=1, pretrained=tmp_path / "w.safetensors")
    assert normalisation(network) == ((0.5, 0.25, 0.75), (0.1, 0.1, 0.1))
    other, _ = build_network(NAME, num_outputs=1, pretrained=False)
    assert normalisation(other)[0] == (0.485, 0.456, 0.406)


def test_what_does_not_match_is_reported(
    tmp_path: Path, source: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    state = source | {"extra.weight": torch.zeros(2), "bn1.weight": torch.ones(5)}
    del state["conv1.weight"]
    save_file(state, tmp_path / "w.safetensors")
    with caplog.at_level(logging.WARNING):
        _, report = build_network(NAME, num_outputs=1, pretrained=tmp_path / "w.safetensors")
    assert report.missing == ("conv1.weight",)
    assert report.unexpected == ("extra.weight",)
    assert report.shape_mismatch == ("bn1.weight (5,) is not (16,)",)
    assert not report.complete
    assert all(name in caplog.text for name in ("conv1.weight", "extra.weight", "bn1.weight (5,)"))


def test_a_file_that_matches_nothing(tmp_path: Path) -> None:
    save_file({"decoder.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"Nothing .* fits cifar_resnet20") as error:
        build_network(NAME, num_outputs=1, pretrained=tmp_path / "w.safetensors")
    assert "decoder.weight" in str(error.value) and "conv1.weight" in str(error.value)


@pytest.mark.parametrize("other", ["cifar_resnet56", "resnet18"])
def test_a_file_of_another_backbone(tmp_path: Path, source: dict[str, Tensor], other: str) -> None:
    save_file(source, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="backbone that the file was made with") as error:
        build_network(other, num_outputs=1, pretrained=tmp_path / "w.safetensors")
    assert len(str(error.value).splitlines()) <= 3


def test_a_file_of_a_deeper_backbone_fits_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model("cifar_resnet32").state_dict(), path)
    with pytest.raises(UserError, match="of another backbone than cifar_resnet20") as error:
        build_network(NAME, num_outputs=1, pretrained=path)
    what, where, advice = str(error.value).splitlines()
    assert str(path) in what
    assert where == "60 of its 188 tensors have no place there, such as layer1.3.bn1.bias"
    assert advice == "Give the backbone that the file was made with: --model.backbone cifar_resnet32"
    _, report = build_network("cifar_resnet32", num_outputs=1, pretrained=path)
    assert report.complete


def test_checkpoints_of_our_own(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    task.build()
    torch.save({"state_dict": task.state_dict(), "transfusion": {"carried": []}}, tmp_path / "best.ckpt")
    network, report = build_network(NAME, num_outputs=5, pretrained=tmp_path / "best.ckpt")
    assert_loaded(network, task.network.state_dict())
    assert report.complete and set(report.unexpected) == {"mean", "std"}


def test_a_family_filter_renames_and_resizes(tmp_path: Path) -> None:
    options = {"embed_dim": 24, "depth": 1, "num_heads": 2}
    donor = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0, **options).state_dict()
    save_file(donor, tmp_path / "w.safetensors")
    network, report = build_network(
        "vit_tiny_patch16_224",
        num_outputs=2,
        image_size=64,
        pretrained=tmp_path / "w.safetensors",
        backbone_args=options,
    )
    assert report.complete
    assert network.pos_embed.shape == (1, 17, 24)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet5O", "resnet50"),
        ("cifar_resnet21", "cifar_resnet20"),
        ("resnet18.a1_in1", "resnet18.a1_in1k"),
        ("qqqq", "transfusion list backbones"),
        ("http://x.y/z", "hf-hub:"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        build_network(name, num_outputs=1, pretrained=False)


def test_no_published_weights() -> None:
    with pytest.raises(UserError, match="no published weights"):
        build_network(NAME, num_outputs=1, pretrained=True)


def test_no_network_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*_: object) -> None:
        raise pretrained_module.socket.gaierror

    monkeypatch.setattr(pretrained_module, "getproxies", dict)
    monkeypatch.setattr(pretrained_module.socket, "getaddrinfo", no_such_host)
    monkeypatch.setattr(pretrained_module.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(UserError, match="path to a downloaded file"):
        build_network("resnet18", num_outputs=1, pretrained=True)


def test_a_network_that_fails_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("timed out")

    monkeypatch.setattr(pretrained_module, "_hub_is_out_of_reach", lambda _: False)
    monkeypatch.setattr(pretrained_module.timm, "create_model", unreachable)
    for name, pretrained in (("resnet18", True), ("hf-hub:owner/model", False)):  # whose facts are on the hub too
        with pytest.raises(UserError, match="No network"):
            build_network(name, num_outputs=1, pretrained=pretrained)


@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (2, 1)])
def test_published_weights(tmp_path: Path, source: dict[str, Tensor], classes: int, channels: int) -> None:
    config = {"architecture": NAME, "num_classes": 10, "pretrained_cfg": timm.create_model(NAME).pretrained_cfg}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(source, tmp_path / "model.safetensors")
    name = f"local-dir:{tmp_path}"
    network, report = build_network(name, num_outputs=classes, in_chans=channels, pretrained=True)
    assert report.complete and set(report.matched) == set(body(source))
    assert report.adapted == (("conv1.weight",) if channels == 1 else ())
    assert report.source == f"timm:{name}"
    assert not torch.equal(network.fc.weight, source["fc.weight"])
    assert torch.equal(network.bn1.running_var, source["bn1.running_var"])


def test_random_weights() -> None:
    network, report = build_network(NAME, num_outputs=0, pretrained=False, drop_rate=0.25)
    assert report.source == "random" and not report.complete
    assert report.summary() == "cifar_resnet20: random weights"
    assert network.drop_rate == 0.25
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 64)
