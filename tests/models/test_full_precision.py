import copy

import pytest
import timm
import torch
from torch import nn

import transfusion_cli.models  # noqa: F401 (registers our backbones)
from transfusion_cli.models.facts import head_names
from transfusion_cli.models.full_precision import FullPrecision


def wrapped(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=1).eval()
    for head in head_names(network):
        FullPrecision(network.get_submodule(head))
    return network


@pytest.mark.parametrize("name", ["cifar_resnet20", "resnet18", "convnext_atto", "vit_tiny_patch16_224", "cbr_tiny"])
@torch.no_grad()
def test_logits_keep_apart_under_autocast(name):
    size = 224 if name in ("vit_tiny_patch16_224", "cbr_tiny") else 32
    network = wrapped(name)
    images = 0.5 + 0.02 * torch.randn(8, 3, size, size)
    plain = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
        assert torch.is_autocast_enabled("cpu")
    assert logits.dtype == torch.float32 and len(logits.unique()) == 8
    assert (logits - plain).abs().max() < 0.05 * plain.abs().max().clamp_min(1)
    assert torch.equal(network(images), plain), "nothing changes without autocast"


def test_gradients_and_copies(tmp_path):
    network = wrapped("cifar_resnet20")
    other = copy.deepcopy(network)
    with torch.autocast("cpu", torch.bfloat16):
        other(torch.randn(2, 3, 32, 32)).sum().backward()
    assert torch.isfinite(other.conv1.weight.grad).all() and network.conv1.weight.grad is None
    torch.save(other.state_dict(), tmp_path / "x.pth")
    network.load_state_dict(torch.load(tmp_path / "x.pth", weights_only=True))


def test_autocast_comes_back_after_an_error():
    layer = nn.Linear(3, 1)
    FullPrecision(layer)
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(RuntimeError):
            layer(torch.zeros(2, 4))
        assert torch.is_autocast_enabled("cpu")
        assert layer(torch.zeros(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
