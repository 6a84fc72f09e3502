"""Low-rank updates."""

import pytest
import timm
import torch
import torch.nn.functional as F
from support.adapted import adapted_task, images
from support.segmentation import make_network, steps
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.adapter import hosts
from transfusion_cli.models.low_rank import LowRank
from transfusion_cli.models.volumes.layers import Conv3dSame
from transfusion_cli.strategies import LoRA
from transfusion_cli.strategies.parts import NetworkParts

LAYERS = {
    "linear": (lambda: nn.Linear(6, 9), (2, 5, 6)),
    "convolution": (lambda: nn.Conv2d(4, 7, 3, stride=2, padding=1, dilation=2), (2, 4, 9, 9)),
    "reflecting": (lambda: nn.Conv2d(4, 7, 3, padding=1, padding_mode="reflect"), (2, 4, 9, 9)),
    "same": (lambda: timm.layers.Conv2dSame(4, 7, 3, stride=2), (2, 4, 8, 9)),
    "volume": (lambda: Conv3dSame(3, 5, 3, stride=2), (1, 3, 6, 7, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_formula(name):
    """W + s B A in float64, with A flattened over inputs and kernel, as in the paper and in peft."""
    make, shape = LAYERS[name]
    layer, x = make().double(), torch.randn(shape, dtype=torch.float64)
    before, weight = layer(x), layer.weight.detach().clone()
    update = LowRank(layer, 3, 0.5).attach(layer)
    assert torch.equal(layer(x), before)  # B is zero
    nn.init.normal_(update.up.weight)
    up, down = update.up.weight.flatten(1), update.down.weight.flatten(1)
    changed = weight + 0.5 * torch.einsum("or,ri->oi", up, down).reshape(weight.shape)
    plain = make().double()
    plain.load_state_dict({"weight": changed, "bias": layer.bias})
    torch.testing.assert_close(layer(x), plain(x))
    update.merge(layer)
    assert set(layer.state_dict()) == {"weight", "bias"} and not layer._forward_hooks
    torch.testing.assert_close(layer(x), plain(x))


def test_its_start_is_that_of_peft():
    update = LowRank(nn.Linear(400, 10), 50, 1.0)
    bound = 400**-0.5
    assert 0.99 * bound < update.down.weight.abs().max() <= bound and not update.up.weight.any()


@pytest.mark.parametrize(
    ("backbone", "targets", "expected"),
    [
        ("test_vit", ["attention"], {f"blocks.{i}.attn.{n}" for i in range(6) for n in ("qkv", "proj")}),
        ("test_vit", ["mlp"], {f"blocks.{i}.mlp.{n}" for i in range(6) for n in ("fc1", "fc2")}),
        ("test_vit", ["convolution", "*.5.mlp.fc?"], {"patch_embed.proj", "blocks.5.mlp.fc1", "blocks.5.mlp.fc2"}),
        (
            "test_convnext",
            ["stages.3.*"],
            {f"stages.3.blocks.{b}.mlp.fc{i}" for b in (0, 1) for i in (1, 2)} | {"stages.3.downsample.1"},
        ),
        ("cifar_resnet20", ["layer1.0.*"], {"layer1.0.conv1", "layer1.0.conv2"}),
    ],
)
def test_targets(backbone, targets, expected, tmp_path):
    task = adapted_task(tmp_path, LoRA(rank=2, targets=targets), backbone)
    task.build()
    names = {id(module): name for name, module in task.network.named_modules()}
    assert {names[id(host)] for host, _ in hosts(task.network)} == expected
    added = {f"{name}.adapter.{part}.weight" for name in expected for part in ("down", "up")}
    assert set(task.phase.trainable) == added | set(task.transferred.parts.head)
    assert set(task.transferred.parts.adapters) == added


@pytest.mark.parametrize(
    ("backbone", "transfer", "message"),
    [
        ("cifar_resnet20", LoRA, r"no layer to update for the target 'attention'.*\n.*'\[convolution\]'"),
        ("test_vit", lambda: LoRA(targets=["blocks.99.*"]), r"target 'blocks.99.\*'.*\n.*\[attention, mlp, conv"),
        ("test_nfnet", lambda: LoRA(targets=["stem.*"]), "in this NormFreeNet"),  # standardises its weights
        ("test_vit", lambda: LoRA(rank=0), "rank of LoRA must be 1 or more"),
    ],
)
def test_refusals(backbone, transfer, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        adapted_task(tmp_path, transfer(), backbone).build()
    assert len(str(caught.value).splitlines()) == 2


def test_a_layer_whose_weight_is_read_without_a_call_has_no_update():
    network = timm.create_model("beit_base_patch16_224", num_classes=2, depth=1, embed_dim=48, num_heads=2, img_size=32)
    LoRA().adapt(network, frozenset())
    assert {name for name, _ in network.named_parameters() if "adapter" in name} == {
        "blocks.0.attn.proj.adapter.down.weight",
        "blocks.0.attn.proj.adapter.up.weight",
    }
    network(torch.randn(1, 3, 32, 32)).sum().backward()


def test_its_delta_on_a_base_vit_is_under_four_megabytes():
    with torch.device("meta"):
        network = timm.create_model("vit_base_patch16_224", num_classes=2)
        sizes = [
            sum(parameter.numel() for parameter in LowRank(layer, 8, 1.0).parameters())
            for name, layer in network.named_modules()
            if name.endswith(("attn.qkv", "attn.proj"))
        ]
    assert len(sizes) == 24 and sum(sizes) == 12 * 8 * (768 + 2304 + 768 + 768)
    assert 4 * (sum(sizes) + 2 * 769) < 2_000_000


def test_a_segmentation_network(tmp_path):
    """A fresh decoder trains whole; one that was carried over, and layers that nothing depends on, differ."""
    own = make_network(tmp_path, LoRA(rank=2, targets=["convolution"]))
    assert all(name.startswith("encoder.") for name in own.parts.adapters) and len(own.parts.adapters) == 2 * 19
    before, after = steps(own)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in changed if name.startswith("encoder.")} == set(own.parts.adapters)
    assert set(own.parts.new) <= changed


def test_fused_layers_get_one_pair_of_factors(tmp_path):
    task = adapted_task(tmp_path, LoRA(rank=2, alpha=3.0))
    task.build()
    qkv = task.network.blocks[0].attn.qkv
    nn.init.normal_(qkv.adapter.up.weight)
    assert (qkv.adapter.down.weight.shape, qkv.adapter.up.weight.shape) == ((2, 64), (192, 2))
    x = torch.randn(1, 4, 64)
    want = F.linear(x, qkv.weight + 1.5 * qkv.adapter.up.weight @ qkv.adapter.down.weight, qkv.bias)
    torch.testing.assert_close(qkv(x), want, rtol=1e-5, atol=1e-5)
    assert NetworkParts.of(task.network).adapters == task.transferred.parts.adapters
    assert task(images()).shape == (2, 1)
