"""Weights of vision transformers, as their authors publish them: what timm makes of the same tensors is the oracle."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import eva, vision_transformer
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.source_head import give_source_head

SMALL: dict[str, Any] = {"embed_dim": 24, "depth": 2, "num_heads": 2}
Tensors = dict[str, Tensor]


def official(patch: int, grid: int | None, **beside: tuple[int, ...]) -> Tensors:
    """Tensors by the names of Facebook's transformers, from DeiT and MAE to DINOv3.

    Args:
        patch: side of a patch.
        grid: patches on a side of the position embeddings, beside one for the class token; None leaves them out.
        beside: shapes of further tensors by name, in which two underscores stand for a dot.
    """
    generator = torch.Generator().manual_seed(0)
    width = SMALL["embed_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        **({} if grid is None else {"pos_embed": (1, 1 + grid**2, width)}),
        **{name.replace("__", "."): shape for name, shape in beside.items()},
    }
    block = {
        **{f"{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")},
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
    }
    shapes |= {f"blocks.{i}.{name}": shape for i in range(SMALL["depth"]) for name, shape in block.items()}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def scaled(tensors: Tensors) -> Tensors:
    """With LayerScale, as DINOv2 has it."""
    names = [f"blocks.{i}.ls{k}.gamma" for i in range(SMALL["depth"]) for k in (1, 2)]
    return tensors | {name: torch.rand(SMALL["embed_dim"]) + 0.5 for name in names}


def dinov3() -> Tensors:
    """Registers by another name, no position embeddings, a mask of the biases."""
    tensors = scaled(official(16, None, storage_tokens=(1, 4, 24), mask_token=(1, 24), rope_embed__periods=(3,)))
    masks = {f"blocks.{i}.attn.qkv.bias_mask": torch.ones(72) for i in range(SMALL["depth"])}
    biases = {name: torch.zeros_like(tensor) for name, tensor in tensors.items() if name.endswith("qkv.bias")}
    return tensors | masks | biases


DECODER: dict[str, tuple[int, ...]] = {
    "decoder_pos_embed": (1, 17, 16),
    "decoder_embed__weight": (16, 24),
    "decoder_blocks__0__attn__qkv__weight": (48, 16),
    "decoder_blocks__0__norm1__weight": (16,),
    "decoder_norm__weight": (16,),
    "decoder_pred__weight": (768, 16),
}
DINOV2 = scaled(official(14, 4, mask_token=(1, 24)))
REGISTERS = scaled(official(14, 4, mask_token=(1, 24), register_tokens=(1, 4, 24)))
MAE = official(16, 4, mask_token=(1, 1, 24), **DECODER)
TRAINED = {"optimizer": {"state": {}}, "epoch": 799, "args": argparse.Namespace(mask_ratio=0.75)}
PUBLISHED: dict[str, tuple[str, Tensors, Any]] = {
    "DINOv2": ("vit_small_patch14_dinov2", DINOV2, lambda t: t),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", REGISTERS, lambda t: t),
    "RETFound-DINOv2": (
        "vit_small_patch14_dinov2",
        DINOV2,
        lambda t: {
            "teacher": {f"backbone.{n}": v for n, v in t.items()} | {"dino_head.mlp.0.weight": torch.ones(9, 9)}
        },
    ),
    "DINOv3": ("vit_small_patch16_dinov3", dinov3(), lambda t: t),
    "DINOv3, with biases": ("vit_small_patch16_dinov3_qkvb", dinov3(), lambda t: t),
    "MAE, RETFound": ("vit_tiny_patch16_224", MAE, lambda t: {"model": t, **TRAINED}),
    "DeiT": ("vit_tiny_patch16_224", official(16, 4, head__weight=(9, 24), head__bias=(9,)), lambda t: {"model": t}),
}


def by_timm(name: str, tensors: Tensors, **options: Any) -> nn.Module:
    """timm's own network, filled by timm's own filter."""
    network = timm.create_model(name, num_classes=2, **SMALL, **options)
    module = eva if "dinov3" in name else vision_transformer
    state = module.checkpoint_filter_fn(dict(tensors), network)
    network.load_state_dict({n: v for n, v in state.items() if not n.startswith("head.")}, strict=False)
    return network


def assert_same(network: nn.Module, expected: nn.Module, but: tuple[str, ...] = ()) -> None:
    """The same tensors, outside of the head."""
    state, other = network.state_dict(), expected.state_dict()
    assert state.keys() == other.keys()
    body = [name for name in state if not name.startswith(("head.", *but))]
    assert [name for name in body if not torch.equal(state[name], other[name])] == []


@pytest.mark.parametrize("patches", [2, 4, 5])
@pytest.mark.parametrize(("name", "tensors", "wrapped"), PUBLISHED.values(), ids=PUBLISHED)
def test_official_files_at_any_image_size(
    tmp_path: Path, name: str, tensors: Tensors, wrapped: Any, patches: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "official.pth"
    torch.save(wrapped(tensors), path)
    size = patches * (14 if "patch14" in name else 16)
    network, report = build_network(name, num_outputs=2, pretrained=path, image_size=size, backbone_args=SMALL)
    assert report.complete and report.summary().splitlines()[0].endswith(f"tensors from {path}, head fresh")
    assert capsys.readouterr().out == ""  # where timm's filter prints
    expected = by_timm(name, tensors, img_size=size)
    assert_same(network, expected)
    network.head.load_state_dict(expected.head.state_dict())
    images = torch.rand(1, 3, size, size)
    torch.testing.assert_close(network.eval()(images), expected.eval()(images))


def test_a_rectangle(tmp_path: Path) -> None:
    save_file(DINOV2, tmp_path / "w.safetensors")
    network, report = build_network(
        "vit_small_patch14_dinov2",
        num_outputs=2,
        pretrained=tmp_path / "w.safetensors",
        image_size=(28, 70),
        backbone_args=SMALL,
    )
    assert report.complete and network.pos_embed.shape == (1, 11, 24)
    assert_same(network, by_timm("vit_small_patch14_dinov2", DINOV2, img_size=(28, 70)))


def test_patches_of_another_size(tmp_path: Path) -> None:
    save_file(DINOV2, tmp_path / "w.safetensors")
    args = {**SMALL, "patch_size": 7}
    network, report = build_network(
        "vit_small_patch14_dinov2",
        num_outputs=2,
        pretrained=tmp_path / "w.safetensors",
        image_size=28,
        backbone_args=args,
    )
    assert report.complete and network.patch_embed.proj.weight.shape == (24, 3, 7, 7)
    assert_same(network, by_timm("vit_small_patch14_dinov2", DINOV2, img_size=28, patch_size=7))


FC_NORM = ("fc_norm.weight", "fc_norm.bias")


@pytest.mark.parametrize(
    ("pooling", "missing", "unused"),
    [
        ({"global_pool": "token"}, (), False),
        ({"global_pool": "avg"}, FC_NORM, True),  # as MAE and RETFound are fine-tuned: the norm after pooling is fresh
        ({"global_pool": "avg", "fc_norm": False}, (), False),
    ],
    ids=["class token", "mean, norm after", "mean, norm before"],
)
def test_pooling(tmp_path: Path, pooling: dict[str, Any], missing: tuple[str, ...], unused: bool) -> None:
    torch.save({"model": MAE}, tmp_path / "mae.pth")
    network, report = build_network(
        "vit_tiny_patch16_224",
        num_outputs=2,
        pretrained=tmp_path / "mae.pth",
        image_size=32,
        backbone_args={**SMALL, **pooling},
    )
    assert report.missing == missing
    assert ("norm.weight" in report.unexpected) == unused
    assert {"decoder_pred.weight", "decoder_blocks.0.attn.qkv.weight"} <= set(report.unexpected)
    assert_same(network, by_timm("vit_tiny_patch16_224", MAE, img_size=32, **pooling))
    assert network.global_pool == pooling["global_pool"]


def test_the_sources_head(tmp_path: Path) -> None:
    tensors = official(16, 4, head__weight=(9, 24), head__bias=(9,))
    torch.save({"model": tensors}, tmp_path / "deit.pth")
    name, options = "vit_tiny_patch16_224", {"image_size": 32, "pretrained": tmp_path / "deit.pth"}
    network, report = build_network(name, num_outputs=2, backbone_args=SMALL, **options)
    assert report.head == ("head.weight", "head.bias")
    assert give_source_head(network, name, str(tmp_path / "deit.pth")) == 9
    assert torch.equal(network.head.weight, tensors["head.weight"])


def test_a_file_of_another_naming_is_told_in_three_lines(tmp_path: Path) -> None:
    """The library transformers has names of its own for the same network."""
    torch.save(
        {"embeddings.cls_token": torch.ones(1, 1, 24), "encoder.layer.0.norm1.weight": torch.ones(24)},
        tmp_path / "w.bin",
    )
    with pytest.raises(UserError, match="Nothing in the weights file fits vit_small_patch14_dinov2") as error:
        build_network("vit_small_patch14_dinov2", num_outputs=2, pretrained=tmp_path / "w.bin", backbone_args=SMALL)
    _, what, advice = str(error.value).splitlines()
    assert "embeddings.cls_token" in what and "patch_embed.proj.weight" in what
    assert advice == "Give the backbone that the file was made with"


@pytest.fixture
def published(tmp_path: Path) -> str:
    """A folder as the hub has it: a network with class token and norm, made for images of 64 pixels."""
    name, args = "vit_tiny_patch16_224", {**SMALL, "img_size": 64}
    network = timm.create_model(name, num_classes=5, **args)
    nn.init.normal_(network.norm.weight)
    config = {"input_size": [3, 64, 64], "num_classes": 5}
    facts = {"architecture": name, "num_classes": 5, "model_args": args}
    (tmp_path / "config.json").write_text(json.dumps(facts | {"pretrained_cfg": network.pretrained_cfg | config}))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    return f"local-dir:{tmp_path}"


@pytest.mark.parametrize("size", [None, 32, 64, (48, 80)])
def test_a_published_network_takes_the_size_of_the_images(published: str, size: Any) -> None:
    network, report = build_network(published, num_outputs=2, image_size=size)
    expected = timm.create_model(published, pretrained=True, num_classes=2, **({"img_size": size} if size else {}))
    assert report.complete
    assert_same(network, expected)
    assert network(torch.rand(1, 3, *(size if isinstance(size, tuple) else (size or 64,) * 2))).shape == (1, 2)


def test_what_a_published_network_lacks_is_told(published: str, caplog: pytest.LogCaptureFixture) -> None:
    """timm says so in its log alone, and only where it is at the level of information."""
    network, report = build_network(published, num_outputs=2, backbone_args={"global_pool": "avg"})
    assert (report.missing, report.unexpected) == (FC_NORM, ("norm.weight", "norm.bias"))
    assert torch.equal(network.fc_norm.weight, torch.ones(24)) and not set(FC_NORM) & set(report.matched)
    assert "not in the weights, random: fc_norm.weight, fc_norm.bias" in caplog.text
    caplog.clear()
    _, report = build_network(published, num_outputs=2, backbone_args={"global_pool": "avg", "fc_norm": False})
    assert report.complete and not caplog.records
    _, report = build_network(published, num_outputs=2, backbone_args={"depth": 1})
    assert report.complete and {name.partition(".norm")[0] for name in report.unexpected if "norm1" in name} == {
        "blocks.1"
    }
