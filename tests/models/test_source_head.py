"""The classifier of the source, where a transferred network has it back."""

import pytest
import timm
import torch
from support.networks import randomised

from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.source_head import give_source_head

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def with_head(pretrained, name="cifar_resnet20", outputs=1):
    network, _ = build_network(name, num_outputs=outputs, pretrained=pretrained, tell=False)
    return network.eval(), give_source_head(network, name, pretrained)


@pytest.mark.parametrize("outputs", [1, 10])
def test_from_a_file(outputs, tmp_path):
    source = randomised().eval()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in source.state_dict().items()}}, tmp_path / "a.pth"
    )
    network, classes = with_head(str(tmp_path / "a.pth"), outputs=outputs)
    assert classes == 10
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES), source(IMAGES))


def test_of_published_weights():
    network, classes = with_head(True, "cifar_resnet20.textures")
    source = timm.create_model("cifar_resnet20.textures", pretrained=True).eval()
    assert classes == 20
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES), source(IMAGES))


def test_there_may_be_none(tmp_path):
    assert with_head(False)[1] == 0
    state = randomised().state_dict()
    headless = {name: value for name, value in state.items() if not name.startswith("fc.")}
    binary = headless | {"fc.weight": state["fc.weight"][:1], "fc.bias": state["fc.bias"][:1]}
    other = headless | {"fc.weight": torch.rand(10, 7), "fc.bias": torch.rand(10)}
    for number, tensors in enumerate((headless, binary, other)):
        path = tmp_path / f"{number}.pth"
        torch.save(tensors, path)
        network, classes = with_head(str(path))
        assert classes == 0 and network(IMAGES).shape == (3, 1)
