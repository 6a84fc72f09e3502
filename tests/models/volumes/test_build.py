"""How weights enter networks of three dimensions."""

from pathlib import Path

import pytest
import torch
from support.networks import randomised
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import dimensions, first_convolution, input_size, normalisation
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.volumes.inflate import inflate
from transfusion_cli.models.volumes.swap import in_three_dimensions

NAME = "cifar_resnet20"


def saved(network: nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


@torch.no_grad()
def test_a_file_of_two_dimensions(tmp_path: Path) -> None:
    flat = randomised(NAME).eval()
    network, report = build_network(NAME, num_outputs=2, pretrained=saved(flat, tmp_path), dims=3)
    images = torch.rand(1, 3, 32, 32)
    maps = network.eval().forward_features(images.unsqueeze(2))
    assert torch.allclose(maps[:, :, 0], flat.forward_features(images), atol=1e-4)
    assert report.complete and "2-D kernels inflated by centre" in report.summary()
    assert input_size(network) == (3, 32, 32, 32) and dimensions(network) == 3
    assert first_convolution(network)[1].kernel_size == (3, 3, 3)


@pytest.mark.parametrize("mode", ["mean", "acs"])
def test_the_report_says_that_statistics_no_longer_fit(tmp_path: Path, mode: str) -> None:
    _, report = build_network(NAME, num_outputs=2, pretrained=saved(randomised(NAME), tmp_path), dims=3, inflate=mode)
    assert mode in report.summary() and "reestimate" in report.summary()


def test_a_file_of_three_dimensions_is_taken_as_it_is(tmp_path: Path) -> None:
    deep = in_three_dimensions(randomised(NAME))
    network, report = build_network(NAME, num_outputs=2, pretrained=saved(deep, tmp_path), dims=3, inflate="mean")
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in deep.state_dict().items() if name[:3] != "fc.")
    assert report.complete and not report.notes


@pytest.mark.parametrize("in_dims", [2, 3])
def test_grey_volumes(tmp_path: Path, in_dims: int) -> None:
    source = randomised(NAME)
    kernel = source.conv1.weight.detach()
    path = saved(in_three_dimensions(source, "centre", {"conv1.weight"}) if in_dims == 3 else source, tmp_path)
    network, report = build_network(NAME, num_outputs=2, in_chans=1, pretrained=path, dims=3)
    assert torch.allclose(network.conv1.weight, inflate(kernel.sum(1, keepdim=True), 3), atol=1e-6)
    assert report.adapted == ("conv1.weight",) and len(normalisation(network)[0]) == 1
    assert input_size(network)[0] == 1


def test_published_weights() -> None:
    flat, _ = build_network(f"{NAME}.textures", num_outputs=20)
    deep, report = build_network(f"{NAME}.textures", num_outputs=20, dims=3)
    assert torch.equal(deep.conv1.weight[:, :, 1], flat.conv1.weight) and not deep.conv1.weight[:, :, 0].any()
    assert report.complete and report.source == f"timm:{NAME}.textures" and report.notes


def test_random_weights_are_drawn_for_three_dimensions() -> None:
    flat, _ = build_network("cbr_small", num_outputs=2, pretrained=False)
    deep, report = build_network("cbr_small", num_outputs=2, pretrained=False, dims=3)
    one, two = flat.blocks[2].conv.weight, deep.blocks[2].conv.weight
    assert two.std().item() == pytest.approx(one.std().item() / 7**0.5, rel=0.02)
    assert (two.std(dim=(0, 1, 3, 4)) / two.std() - 1).abs().max() < 0.05 and not report.notes


def test_a_part_that_the_weights_lack_is_drawn(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in randomised(NAME).state_dict().items() if "layer3.2" not in name}
    torch.save(state, tmp_path / "weights.pth")
    network, _ = build_network(NAME, num_outputs=2, pretrained=tmp_path / "weights.pth", dims=3)
    assert not network.layer3[1].conv1.weight[:, :, 0].any() and network.layer3[2].conv1.weight[:, :, 0].any()


@pytest.mark.parametrize(
    "name, layer", [("vit_tiny_patch16_224", "VisionTransformer"), ("ecaresnet26t", "EcaModule"), ("vgg11_bn", "VGG")]
)
def test_what_does_not_convert_is_refused_by_name(name: str, layer: str) -> None:
    with pytest.raises(
        UserError, match=rf"{name} cannot take volumes: its {layer}[^\n]*\nTake one of resnet"
    ) as caught:
        build_network(name, num_outputs=2, pretrained=False, dims=3)
    assert len(str(caught.value).splitlines()) == 2
