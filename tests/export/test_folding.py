"""What a strategy put into a network goes, and its outputs stay."""

import pytest
import timm
import torch
from support.adapted import ARGS, adapted_task, images

from transfusion_cli import strategies
from transfusion_cli.export.folding import fold

MERGE = ["ACNorm", "LoRA", "SSF", "StochNorm", "BatchNormAffine", "LayerwiseDecay"]
STAY = ["AdaptFormer", "VisualPromptTuning"]
VITS = {"LoRA", "LayerwiseDecay", *STAY}


def moved(folder, name):
    """A task under a strategy whose parameters are not what they began with, and its outputs."""
    backbone = "test_vit" if name in VITS else "test_resnet"
    task = adapted_task(folder, getattr(strategies, name)(), backbone)
    task.build()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        task.eval()
        return task, backbone, task.network(images())


@pytest.mark.parametrize("name", MERGE)
def test_it_is_merged_into_the_weights_of_the_architecture(name, tmp_path):
    task, backbone, before = moved(tmp_path, name)
    assert fold(task) == []
    with torch.no_grad():
        torch.testing.assert_close(task.network(images()), before, atol=1e-5, rtol=1e-5)
        plain = timm.create_model(backbone, num_classes=1, **ARGS.get(backbone, {})).eval()
        plain.load_state_dict(task.network.state_dict(), strict=True)
        torch.testing.assert_close(plain(images()), before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", STAY)
def test_what_cannot_be_merged_stays_and_is_named(name, tmp_path):
    task, _, before = moved(tmp_path, name)
    assert fold(task) == [name]
    with torch.no_grad():
        assert torch.equal(task.network(images()), before)
