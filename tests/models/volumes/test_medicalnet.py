"""MedicalNet's networks and files."""

from pathlib import Path

import pytest
import timm
import torch
from support.medicalnet import MedicalNet
from support.networks import draw_batch_norm

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import dimensions, first_convolution, input_size, normalisation
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.stages import stages


def published(depth: int, folder: Path) -> tuple[MedicalNet, Path]:
    """A drawn network of that depth and its file, packed as MedicalNet's are."""
    torch.manual_seed(depth)
    reference = draw_batch_norm(MedicalNet(depth)).eval()
    path = folder / f"resnet_{depth}.pth"
    state = {f"module.{name}": tensor for name, tensor in reference.state_dict().items() if "conv_seg" not in name}
    head = {f"module.{name}": tensor for name, tensor in reference.state_dict().items() if "conv_seg" in name}
    torch.save({"state_dict": state | head, "optimizer": {"lr": 0.001}}, path)
    return reference, path


@pytest.mark.parametrize(
    "depth, tensors",
    [(10, None), (18, 102), *(pytest.param(*deep, marks=pytest.mark.slow) for deep in ((34, 198), (50, 318)))],
)
@torch.no_grad()
def test_a_file_gives_the_published_network(tmp_path: Path, depth: int, tensors: int | None) -> None:
    reference, path = published(depth, tmp_path)
    name = f"medicalnet_resnet{depth}"
    network, report = build_network(name, num_outputs=2, in_chans=1, pretrained=path, dims=3)
    x = torch.randn(2, 1, 32, 40, 33)
    maps, expected = network.eval().forward_features(x), reference(x)
    assert maps.shape == expected.shape == (2, 2048 if depth == 50 else 512, 4, 5, 5)
    assert torch.allclose(maps, expected, atol=1e-5 * expected.abs().max().item())
    assert network(x).shape == (2, 2)
    assert report.complete and not report.notes and len(report.matched) == (tensors or len(report.matched))
    assert report.unexpected and all(
        name.startswith("module.conv_seg.") or "conv_seg" in name for name in report.unexpected
    )
    assert list(stages(network)) == ["conv1", "block1", "block2", "block3", "block4"]


def test_all_depths_are_registered() -> None:
    assert len(timm.list_models("medicalnet_resnet*")) == 7
    for name in timm.list_models("medicalnet_resnet*"):
        with torch.device("meta"):
            network = timm.create_model(name, num_classes=2)
        assert dimensions(network) == 3 and first_convolution(network)[0] == "conv1"
        assert input_size(network) == (1, 64, 64, 64) and normalisation(network) == ((0.0,), (1.0,))


def test_a_file_of_another_depth_says_which(tmp_path: Path) -> None:
    _, path = published(10, tmp_path)
    with pytest.raises(UserError, match=r"--model\.backbone medicalnet_resnet10"):
        build_network("medicalnet_resnet18", num_outputs=2, in_chans=1, pretrained=path, dims=3)


def test_it_takes_no_images() -> None:
    with pytest.raises(UserError, match="medicalnet_resnet10 takes volumes"):
        build_network("medicalnet_resnet10", num_outputs=2, pretrained=False)


def test_there_is_nothing_published_to_fetch() -> None:
    with pytest.raises(UserError, match="no published weights for medicalnet_resnet10"):
        build_network("medicalnet_resnet10", num_outputs=2, dims=3)


@torch.no_grad()
def test_maps_for_a_decoder() -> None:
    network = timm.create_model("medicalnet_resnet18", num_classes=0).eval()
    maps = network.forward_intermediates(torch.randn(1, 1, 33, 32, 32), intermediates_only=True)
    assert [tuple(each.shape[1:3]) for each in maps] == [(64, 17), (64, 9), (128, 5), (256, 5), (512, 5)]
    trained = timm.create_model("medicalnet_resnet50")(torch.randn(1, 1, 17, 16, 16))
    assert trained.isfinite().all()
