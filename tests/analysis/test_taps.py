"""Hooks that read layers: what they see, and that nothing is left of them."""

import pytest
import timm
import torch
from support.subjects import hooks, subject
from torch import nn

import transfusion_cli.models  # noqa: F401 (registers our backbones)
from transfusion_cli.analysis.taps import POOLED, Taps, default_layers, matching_layers
from transfusion_cli.errors import UserError

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


class Overwriting(nn.Sequential):
    """A layer whose output the next one writes over."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__(first, nn.ReLU(inplace=True))


def test_hooks_go_also_after_an_error():
    network = subject().network
    with Taps(network, ["layer1", POOLED]) as taps:
        network(IMAGES)
        assert hooks(network) == 2
        assert list(taps.take()) == ["layer1", POOLED]
    assert hooks(network) == 0
    with pytest.raises(RuntimeError), Taps(network, ["layer1"]):
        network(torch.rand(4, 7, 32, 32))
    assert hooks(network) == 0
    with pytest.raises(AttributeError), Taps(network, ["layer1", "no such layer"]):
        pass
    assert hooks(network) == 0


def test_shapes_and_values():
    network = subject().network
    with Taps(network, ["layer1", "layer3", POOLED], positions=100) as taps, torch.no_grad():
        network(IMAGES)
        seen = taps.take()
    assert seen["layer1"].points.shape == (400, 16) and seen["layer1"].size == (32, 32)
    assert seen["layer3"].points.shape == (4 * 64, 64), "all 64 positions, none twice"
    assert seen[POOLED].points.shape == seen[POOLED].pooled.shape == (4, 64)
    torch.testing.assert_close(seen["layer3"].pooled, seen[POOLED].pooled)
    torch.testing.assert_close(seen["layer3"].points.view(4, 64, 64).mean(1), seen["layer3"].pooled)


def test_positions_are_drawn_without_replacement_and_alike_in_networks_of_the_same_size():
    # Each pixel holds its own number, so that what is read tells where it was read.
    number = torch.arange(64.0).view(1, 1, 8, 8).expand(3, 1, 8, 8).contiguous()
    network = nn.Sequential(nn.Identity())
    read = []
    for seed, batch in ((0, 0), (0, 0), (0, 1), (1, 0)):
        with Taps(network, ["0"], positions=20, seed=seed, batch=batch) as taps:
            network(number)
            read.append(taps.take()["0"].points.view(3, 20))
    assert torch.equal(read[0], read[1])
    assert not torch.equal(read[0], read[2]) and not torch.equal(read[0], read[3])
    assert all(len(set(image.tolist())) == 20 for image in read[0])
    assert not torch.equal(read[0][0], read[0][1]), "each image has positions of its own"


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Conv2d(3, 5, 1), (4, 3, 6, 6)), (nn.Linear(3, 5), (4, 7, 3)), (nn.Linear(3, 5), (4, 3))]
)
def test_what_follows_may_write_in_place(layer, shape):
    network = Overwriting(layer)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    with Taps(network, ["0"], positions=2000) as taps, torch.no_grad():
        network(images)
        seen = taps.take()["0"]
        expected = layer(images)
    expected = expected.flatten(2).transpose(1, 2) if len(shape) == 4 else expected
    assert (expected < 0).any()
    torch.testing.assert_close(seen.points, expected.reshape(-1, 5))


def test_tokens_and_channels_last():
    vit = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=2).eval()
    with Taps(vit, ["blocks.3"], positions=2) as taps, torch.no_grad():
        vit(IMAGES)
        seen = taps.take()["blocks.3"]
    assert seen.points.shape == (8, 192) and seen.size == (5,)
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, window_size=2, num_classes=2).eval()
    with Taps(swin, ["layers.0"]) as taps, torch.no_grad():
        swin(IMAGES)
        assert taps.take()["layers.0"].pooled.shape == (4, 96)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["conv1", "act1", "layer1", "layer2", "layer3", "layer4", POOLED]),
        ("cifar_resnet20", ["conv1", "layer1", "layer2", "layer3", POOLED]),
    ],
)
def test_default_layers(name, layers):
    assert default_layers(timm.create_model(name, num_classes=2)) == layers


def test_patterns():
    network = timm.create_model("cifar_resnet20", num_classes=2)
    assert matching_layers(network, ["layer*"]) == ["layer1", "layer2", "layer3"]
    assert matching_layers(network, [POOLED, "layer2.?"]) == ["layer2.0", "layer2.1", "layer2.2", POOLED]
    assert all(name.startswith("layer1.") for name in matching_layers(network, ["layer1.**"]))
    assert len(matching_layers(network, ["layer1.**"])) > 10
    with pytest.raises(UserError, match="Did you mean layer1"):
        matching_layers(network, ["layr1"])


def test_a_layer_that_did_not_run():
    network = nn.ModuleDict({"used": nn.Linear(3, 2), "idle": nn.Linear(3, 2)})
    with Taps(network, ["idle"]) as taps:
        network["used"](torch.rand(2, 3))
        with pytest.raises(UserError, match="idle did not run"):
            taps.take()
