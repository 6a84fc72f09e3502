"""Scale and shift after each operation."""

import pytest
import torch
from support.adapted import adapted_task, images
from timm.layers import BatchNormAct2d, GroupNormAct, LayerNorm2d, LayerNormAct2d, RmsNorm, RmsNorm2d, StdConv2d
from timm.layers.evo_norm import EvoNorm2dS0
from torch import nn

from transfusion_cli.models.scale_shift import ScaleShift, can_be_scaled
from transfusion_cli.strategies import SSF, ACNorm

IMAGE, TOKENS = (2, 6, 5, 5), (2, 4, 6)
LAYERS = {
    "linear": (lambda: nn.Linear(6, 3), TOKENS, -1),
    "linear-bare": (lambda: nn.Linear(6, 3, bias=False), TOKENS, -1),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, groups=6), IMAGE, 1),
    "convolution-bare": (lambda: nn.Conv2d(6, 4, 3, bias=False), IMAGE, 1),
    "batch": (lambda: nn.BatchNorm2d(6), IMAGE, 1),
    "group": (lambda: nn.GroupNorm(2, 6), IMAGE, 1),
    "layer": (lambda: nn.LayerNorm(6), TOKENS, -1),
    "layer-2d": (lambda: LayerNorm2d(6), IMAGE, 1),
    "rms": (lambda: RmsNorm(6), TOKENS, -1),
    "rms-2d": (lambda: RmsNorm2d(6), IMAGE, 1),
    "evo": (lambda: EvoNorm2dS0(6, groups=2), IMAGE, 1),
    "batch-act": (lambda: BatchNormAct2d(6, act_layer=nn.SiLU), IMAGE, 1),
    "group-act": (lambda: GroupNormAct(6, num_groups=2, act_layer=nn.SiLU), IMAGE, 1),
    "layer-act": (lambda: LayerNormAct2d(6, act_layer=nn.SiLU), IMAGE, 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_definition_and_its_merging(name):
    make, shape, axis = LAYERS[name]
    layer, x = make().double().eval(), torch.randn(shape, dtype=torch.float64)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    names = set(layer.state_dict())
    plain = make().double().eval()
    plain.load_state_dict(layer.state_dict())
    activation = nn.functional.silu if name.endswith("-act") else lambda y: y
    if name.endswith("-act"):
        plain.act = nn.Identity()
    assert can_be_scaled(layer)
    adapter = ScaleShift(layer, 0.5).attach(layer)
    assert (adapter.shift is None) == ("bare" in name or "rms" in name)
    scale, shift = adapter.scale, torch.zeros(len(adapter.scale)) if adapter.shift is None else adapter.shift
    moved = plain(x).movedim(axis, -1) * scale + shift
    want = activation(moved.movedim(-1, axis))
    torch.testing.assert_close(layer(x), want)
    adapter.merge(layer)
    assert set(layer.state_dict()) == names
    torch.testing.assert_close(layer(x), want)


def test_what_would_undo_it_gets_none():
    assert not can_be_scaled(StdConv2d(3, 3, 1)) and not can_be_scaled(nn.LayerNorm(3, elementwise_affine=False))
    assert not can_be_scaled(nn.ReLU())


def test_every_operation_but_the_head_has_one(tmp_path):
    task = adapted_task(tmp_path, SSF())
    task.build()
    scaled = {name.removesuffix(".adapter.scale") for name in task.phase.trainable if name.endswith("scale")}
    owners = {name.rpartition(".")[0] for name, _ in task.network.named_parameters() if name.endswith(".weight")}
    assert scaled == owners - {"head"}
    values = torch.cat([p.flatten() for n, p in task.network.named_parameters() if n.endswith("adapter.scale")])
    assert abs(values.mean() - 1) < 0.002 and abs(values.std() - 0.02) < 0.001


def test_std_zero_starts_as_the_pretrained_network(tmp_path):
    task, plain = adapted_task(tmp_path, SSF(std=0.0)), adapted_task(tmp_path)
    task.build()
    plain.build()
    assert torch.equal(task.eval()(images()), plain.eval()(images()))


def test_before_ac_norm_both_come_off(tmp_path):
    task = adapted_task(tmp_path, [SSF(std=0.2), ACNorm()], "cifar_resnet20")
    task.build()
    with torch.no_grad():
        outputs = task.eval()(images())
        task.transfer.finalize(task.network)
        torch.testing.assert_close(task(images()), outputs, rtol=1e-4, atol=1e-5)
    plain = adapted_task(tmp_path, None, "cifar_resnet20")
    plain.build()
    plain.network.load_state_dict(task.network.state_dict(), strict=True)
