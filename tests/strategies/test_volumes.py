"""Strategies on networks for volumes."""

from pathlib import Path

import pytest
import torch
from support.networks import source_file

from transfusion_cli.errors import UserError
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.strategies import GaborInit, SlimHybrid, Truncate
from transfusion_cli.strategies.parts import NetworkParts


@pytest.mark.parametrize("name", ["resnet18", "cifar_resnet20", "medicalnet_resnet10"])
def test_truncate_keeps_three_dimensions(name: str) -> None:
    network, _ = build_network(name, num_outputs=3, pretrained=False, dims=3)
    Truncate(after="block2").adapt(network, frozenset())
    assert network(torch.randn(2, 3, 16, 24, 16)).shape == (2, 3)


def test_what_is_made_for_images_says_so() -> None:
    network, _ = build_network("resnet18", num_outputs=3, pretrained=False, dims=3)
    with pytest.raises(UserError, match="GaborInit draws waves in a plane"):
        GaborInit().initialize(network, {}, torch.Generator())
    with pytest.raises(UserError, match="SlimHybrid is for networks that classify images"):
        SlimHybrid().adapt(network, frozenset())


def test_parts(tmp_path: Path) -> None:
    flat, _ = build_network("cifar_resnet20", num_outputs=2, pretrained=source_file(tmp_path))
    deep, _ = build_network("cifar_resnet20", num_outputs=2, pretrained=source_file(tmp_path), dims=3)
    assert NetworkParts.of(flat) == NetworkParts.of(deep) and len(batch_norm_layers(deep)) == 19
