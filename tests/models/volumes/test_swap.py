"""Networks in three dimensions compute what they compute in two."""

import pickle
from copy import deepcopy
from itertools import permutations

import pytest
import timm
import torch
from support.networks import randomised
from timm.layers import AvgPool2dSame, Conv2dSame, SelectAdaptivePool2d, SEModule, convert_sync_batchnorm
from timm.layers.pool2d_same import MaxPool2dSame
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ac_norm_layers, convert_ac_norm, fold_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers, reestimate_statistics
from transfusion_cli.models.facts import dimensions, head_names, input_size
from transfusion_cli.models.stages import stages
from transfusion_cli.models.volumes.layers import BatchNormAct3d
from transfusion_cli.models.volumes.swap import in_three_dimensions

FAMILIES = [
    *("resnet18", "resnet26d", "resnet10t", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "seresnet50"),
    *("seresnext26d_32x4d", "resnetrs50", "resnetv2_18", "resnetv2_50", "resnetv2_50d", "densenet121"),
    *("efficientnet_b0", "tf_efficientnet_b0", "efficientnet_lite0", "efficientnet_es", "efficientnetv2_rw_t"),
    *("mobilenetv2_100", "mnasnet_100", "mobilenetv3_small_100", "tf_mobilenetv3_small_100", "lcnet_050"),
    *("mobilenetv4_conv_small", "mobilenetv4_conv_aa_medium", "fbnetc_100", "regnetx_002", "regnety_002"),
    *("regnetv_040", "regnetz_005", "cifar_resnet20", "cbr_tiny", "cbr_larget"),
]

QUICK = ("resnet18", "mobilenetv3_small_100", "regnety_002")
"""One of each kind of block; all others are slow tests."""


def families(names: list[str]) -> list[object]:
    """Names as parameters of a test."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def drawn(name: str, **kwargs: object) -> nn.Module:
    """A network of two dimensions no scale, shift or statistic of which stands at its start.

    In double precision: random networks of a hundred layers amplify rounding until nothing can be compared.
    """
    return randomised(name, **kwargs).eval().double()


def swapped(network: nn.Module, mode: str = "centre") -> nn.Module:
    network = deepcopy(network)
    return in_three_dimensions(network, mode, frozenset(network.state_dict()))


def assert_equal(one: Tensor, other: Tensor) -> None:
    assert other.std() > 0
    assert torch.allclose(one, other, rtol=0, atol=1e-6 * other.abs().max().item())


@pytest.mark.parametrize("name", families(FAMILIES))
@torch.no_grad()
def test_what_is_constant_in_depth_gives_what_the_image_gives(name: str) -> None:
    flat = drawn(name)
    deep = swapped(flat)
    side = 32 if name.startswith(("cifar", "cbr")) else 64
    images = torch.randn(1, 3, side, side, dtype=torch.float64)
    volumes = images.unsqueeze(2).expand(-1, -1, 32, -1, -1)
    assert_equal(deep(volumes), flat(images))
    if not name.startswith("cbr"):  # which refuse what their unpadded poolings cannot take
        assert_equal(deep(images.unsqueeze(2)), flat(images))
    if hasattr(flat, "forward_intermediates"):
        maps = flat.forward_intermediates(images, intermediates_only=True)
        deep_maps = deep.forward_intermediates(volumes, intermediates_only=True)
        for one, other in zip(deep_maps, maps, strict=True):
            assert_equal(one, other.unsqueeze(2).expand_as(one))
    assert list(deep.state_dict()) == list(flat.state_dict())
    assert stages(deep) == stages(flat) and head_names(deep) == head_names(flat)
    assert deep.pretrained_cfg["architecture"] == name and deep.get_classifier() is not flat.get_classifier()
    assert not any(isinstance(layer, nn.Conv2d | nn.BatchNorm2d) for layer in deep.modules() if is_plain(layer))


def is_plain(layer: nn.Module) -> bool:
    return type(layer).__module__.startswith("torch.nn.")


ALIKE = [
    *("resnet26d", "seresnext26d_32x4d", "densenet121", "tf_efficientnet_b0", "mobilenetv3_small_100"),
    *("mobilenetv4_conv_small", "regnety_002", "cifar_resnet20", "cbr_tiny"),
]


@pytest.mark.parametrize("name", families(ALIKE))
@torch.no_grad()
def test_all_axes_are_treated_alike(name: str) -> None:
    """With kernels that are the same however a volume is turned, the answer is the same however it is turned."""
    deep = in_three_dimensions(randomised(name)).eval().double()
    for layer in deep.modules():
        if isinstance(layer, nn.Conv3d):
            turns = [layer.weight.permute(0, 1, *order) for order in permutations((2, 3, 4))]
            layer.weight.copy_(torch.stack(turns).mean(0))
    volume = torch.randn(1, 3, 32, 40, 33, dtype=torch.float64)
    expected = deep(volume)
    for order in ((3, 4, 2), (4, 3, 2)):
        assert_equal(deep(volume.permute(0, 1, *order)), expected)


@pytest.mark.parametrize("name", ["cifar_resnet20", "resnet18"])
@torch.no_grad()
def test_every_slice_is_convolved_as_an_image(name: str) -> None:
    flat = drawn(name)
    if name == "resnet18":
        flat.maxpool = nn.Identity()  # pooling looks at the neighbouring slices
    deep = swapped(flat)
    volume = torch.randn(1, 3, 9, 32, 32, dtype=torch.float64)
    maps = deep.forward_features(volume)
    step = {"cifar_resnet20": 4, "resnet18": 16}[name]
    for i in range(maps.shape[2]):
        assert_equal(maps[:, :, i], flat.forward_features(volume[:, :, i * step]))


@pytest.mark.slow
@torch.no_grad()
def test_a_mean_over_two_axes_would_be_seen() -> None:
    """What a squeeze-and-excitation made for images does to volumes without a word."""
    flat, volume = drawn("seresnet50"), torch.randn(1, 3, 32, 64, 64, dtype=torch.float64)
    deep = swapped(flat)
    right = deep(volume)
    for layer in deep.modules():
        if isinstance(layer, SEModule):
            layer.__class__ = SEModule
    assert not torch.allclose(deep(volume), right, rtol=1e-3)


@torch.no_grad()
def test_squeezing_takes_all_three_axes() -> None:
    layer = swapped(drawn("seresnet50")).layer1[0].se
    x = torch.randn(2, 256, 3, 4, 5, dtype=torch.float64)
    mean = x.flatten(2).mean(2)
    fc1, fc2 = layer.fc1.weight[:, :, 0, 0, 0], layer.fc2.weight[:, :, 0, 0, 0]
    gate = torch.sigmoid(torch.relu(mean @ fc1.T + layer.fc1.bias) @ fc2.T + layer.fc2.bias)
    assert torch.allclose(layer(x), x * gate[:, :, None, None, None])


@pytest.mark.parametrize(
    "pool", ["avg", "max", "avgmax", "catavgmax", "fast", "fastmax", "fastavgmax", "fastcatavgmax"]
)
@torch.no_grad()
def test_global_pools(pool: str) -> None:
    x = torch.randn(2, 5, 2, 3, 4)
    flat = nn.Sequential(SelectAdaptivePool2d(pool_type=pool, flatten=True))
    assert torch.allclose(swapped(flat)(x), flat(x.flatten(3)), atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_padding_as_tensorflow_does(stride: int) -> None:
    layers = [Conv2dSame(2, 4, 3, stride), MaxPool2dSame(3, stride), AvgPool2dSame(3, stride)]
    for layer in layers:
        x = torch.randn(1, 2, 5, 8)
        deep = swapped(nn.Sequential(layer))
        maps = deep(x.unsqueeze(2).expand(-1, -1, 7, -1, -1))
        assert maps.shape[2] == -(-7 // stride)
        assert torch.allclose(maps[:, :, 1], layer(x), atol=1e-6)
        # the other axes in depth's place: there is nothing that holds for one alone
        turned = deep(x.unsqueeze(2).expand(-1, -1, 7, -1, -1).transpose(2, 3))
        assert turned.shape[2] == -(-5 // stride)


@torch.no_grad()
def test_tuples_groups_dilation_bias_and_padding_modes() -> None:
    for options in (
        {"padding": (2, 1), "dilation": (2, 1), "groups": 2},
        {"padding": "same", "bias": False},
        {"padding": 1, "padding_mode": "reflect", "stride": (2, 2)},
    ):
        layer = nn.Conv2d(4, 6, 3, **options)
        deep = swapped(nn.Sequential(layer))[0]
        x = torch.randn(1, 4, 12, 12)
        assert deep.weight.shape == (6, 4 // layer.groups, 3, 3, 3) and (deep.bias is None) == (layer.bias is None)
        maps = deep(x.unsqueeze(2).expand(-1, -1, 12, -1, -1))
        assert torch.allclose(maps, layer(x).unsqueeze(2).expand_as(maps), atol=1e-6)
    assert swapped(nn.Sequential(nn.Conv2d(1, 1, (1, 7), padding=(0, 3))))[0].padding == (0, 0, 3)


def test_a_second_time_nothing_happens() -> None:
    deep = swapped(drawn("resnet18"))
    before = {name: tensor.clone() for name, tensor in deep.state_dict().items()}
    again = in_three_dimensions(deep)
    assert again is deep and all(torch.equal(before[name], tensor) for name, tensor in deep.state_dict().items())


def test_it_copies_pickles_and_trains() -> None:
    deep = deepcopy(in_three_dimensions(randomised("efficientnet_lite0")))
    deep = pickle.loads(pickle.dumps(deep))
    before = deep.bn1.running_mean.clone()
    deep(torch.randn(2, 3, 32, 32, 32)).sum().backward()
    assert deep.conv_stem.weight.grad is not None and not torch.equal(deep.bn1.running_mean, before)
    with pytest.raises(ValueError, match="5D"):
        deep.bn1(torch.randn(2, 32, 4, 4))


def test_facts() -> None:
    deep = in_three_dimensions(timm.create_model("resnet18", in_chans=1))
    assert dimensions(deep) == 3 and input_size(deep) == (1, 32, 32, 32)


@pytest.mark.parametrize("name", ["resnetblur18", "efficientnet_cc_b0_4e", "mixnet_s", "inception_v3", "resnet50_gn"])
def test_what_was_not_tested_is_refused(name: str) -> None:
    network = timm.create_model(name)
    with pytest.raises(UserError, match=f"^{name} cannot take volumes: its "):
        in_three_dimensions(network)
    assert dimensions(network) == 2


@torch.no_grad()
def test_statistics_and_ac_norm_of_fused_layers() -> None:
    """BatchNormAct3d is found, re-estimated, converted and folded as BatchNormAct2d is."""
    torch.manual_seed(0)
    deep = in_three_dimensions(randomised("efficientnet_lite0")).eval()
    layers = batch_norm_layers(deep)
    assert len(layers) == 49 and all(type(layer) is BatchNormAct3d for layer in layers.values())
    x = torch.randn(2, 3, 32, 32, 32)
    before = deep(x)
    convert_ac_norm(deep, list(layers), combine="mean")
    assert len(ac_norm_layers(deep)) == 49 and not torch.allclose(deep(x), before)
    after = deep(x)
    assert torch.allclose(fold_ac_norm(deep)(x), after, atol=1e-3 * after.abs().max().item())
    reestimate_statistics(deep, [x])
    assert torch.allclose(deep.bn1.running_mean, deep.conv_stem(x).mean((0, 2, 3, 4)), atol=1e-5)
    assert type(convert_sync_batchnorm(deep).bn1).__name__ == "SyncBatchNormAct"
