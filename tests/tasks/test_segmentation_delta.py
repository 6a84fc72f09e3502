"""A delta checkpoint of a segmentation network holds what trained and what moved, and rebuilds it bit for bit."""

import pytest
import torch
from safetensors import safe_open
from support.segmentation import encoder_file, trained_file

from transfusion_cli.strategies import BatchNormAffine, FullFineTuning
from transfusion_cli.strategies.freezing import set_modes
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.delta import load_delta, save_delta
from transfusion_cli.tasks.network import SegmentationRecipe


class BareTask(TransferTask):
    """A segmentation network and nothing to do with it."""

    recipe = SegmentationRecipe
    num_outputs, dims, inflate, decoder_channels, deep_supervision = 2, 2, "centre", None, False
    class_names = ("vessel",)

    def __init__(self, decoder, **kwargs):
        super().__init__(backbone="cifar_resnet20", **kwargs)
        self.decoder = decoder

    def describe(self):
        return super().describe() | {"class_names": list(self.class_names)}


def trained(task):
    """The task after one step of its first phase."""
    task.build()
    set_modes(task.network, task.phase, task.transferred.parts)
    optimizer = torch.optim.Adam([p for p in task.network.parameters() if p.requires_grad], lr=0.01)
    task.network(torch.randn(2, 3, 33, 35)).square().mean().backward()
    optimizer.step()
    return task


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
@pytest.mark.parametrize("carried", [False, True], ids=["fresh", "carried"])
def test_what_a_delta_holds(carried, decoder, tmp_path):
    file = trained_file(tmp_path, decoder=decoder) if carried else encoder_file(tmp_path)
    task = trained(BareTask(decoder, transfer=BatchNormAffine(), pretrained=file))
    path = tmp_path / "delta.safetensors"
    save_delta(task, path)
    with safe_open(path, framework="pt") as held:
        names = {name.removeprefix("network.") for name in held.keys()} - {"mean", "std"}  # noqa: SIM118
    fresh = {name for name in task.network.state_dict() if name.startswith("decoder.")} if not carried else set()
    assert names == set(task.phase.trainable) | fresh
    rebuilt = BareTask(decoder, transfer=BatchNormAffine(), pretrained=file, seed=7)
    load_delta(rebuilt, path)
    expected, state = task.state_dict(), rebuilt.state_dict()
    assert expected.keys() == state.keys() and all(torch.equal(state[name], expected[name]) for name in expected)
    assert rebuilt.transferred.parts == task.transferred.parts


def test_what_a_checkpoint_describes_makes_the_same_network(tmp_path):
    task = BareTask("unet", transfer=FullFineTuning(), pretrained=trained_file(tmp_path))
    task.build()
    description = task.describe() | {"base": task.transferred.base.to_dict()}
    again = BareTask("unet", transfer=FullFineTuning(), pretrained="gone.ckpt", seed=7)
    again.build(description)
    again.load_state_dict(task.state_dict())
    assert again.transferred.parts == task.transferred.parts and again.transferred.carried == task.transferred.carried
