from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open

from transfusion_cli.models.facts import head_names, normalisation
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.stages import layers

NAME = "cifar_vit6"


def test_size() -> None:
    network = timm.create_model(NAME, device="meta")
    assert sum(parameter.numel() for parameter in network.parameters()) == 684_394
    assert len(network.blocks) == 6 and network.pos_embed.shape == (1, 65, 96)
    assert sorted(set(layers(network).values())) == list(range(8))  # stem, blocks (the norm with the last), head


def test_the_bare_name_means_no_shipped_weights() -> None:
    config = timm.models.get_pretrained_cfg(NAME)
    assert config.tag == "untrained" and not config.has_weights
    assert config.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("size", [32, 48, (24, 40)])
def test_the_shipped_weights_load_without_a_network_connection(size) -> None:
    network, report = build_network(f"{NAME}.textures", num_outputs=5, image_size=size)
    assert report.complete and not any(name.startswith("head.") for name in report.matched)
    assert head_names(network) == ("head",) and network.head.weight.shape == (5, 96)
    assert normalisation(network)[0] == pytest.approx((0.4459, 0.4454, 0.4467))
    assert network(torch.rand(1, 3, *(size if isinstance(size, tuple) else (size, size)))).shape == (1, 5)


def test_features_only_gives_maps() -> None:
    network = timm.create_model(NAME, features_only=True)
    assert [tuple(maps.shape) for maps in network(torch.rand(1, 3, 32, 32))] == [(1, 96, 8, 8)] * 3


def test_the_shipped_weights_are_declared_as_their_file_says_and_recognise_fresh_textures(monkeypatch, request) -> None:
    config = timm.models.get_pretrained_cfg(f"{NAME}.textures")
    monkeypatch.syspath_prepend(request.config.rootpath / "scripts")
    from textures import CLASSES, draw_texture

    with safe_open(config.file, framework="pt") as file:
        facts = file.metadata()
    mean, std = (torch.tensor(json.loads(facts[key])) for key in ("mean", "std"))
    assert mean.tolist() == pytest.approx(config.mean) and std.tolist() == pytest.approx(config.std)
    assert tuple(json.loads(facts["input_size"])) == config.input_size
    assert json.loads(facts["classes"]) == list(CLASSES) and len(CLASSES) == config.num_classes
    assert {"script", "settings", "versions", "date", "license"} <= set(facts)

    network = timm.create_model(f"{NAME}.textures", pretrained=True).eval()
    labels = torch.arange(200) % len(CLASSES)
    images = np.stack([draw_texture(np.random.default_rng([99, i]), int(label), 32) for i, label in enumerate(labels)])
    with torch.no_grad():
        pixels = (torch.from_numpy(images) / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        right = (network(pixels).argmax(1) == labels).float().mean().item()
    assert right == pytest.approx(float(facts["held_out_accuracy"]), abs=0.1)  # some three standard errors
    assert right > 0.5
