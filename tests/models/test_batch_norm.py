from __future__ import annotations

import contextlib

import numpy as np
import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from transfusion_cli.models.ac_norm import convert_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers, reestimate_statistics


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.9), nn.Conv2d(4, 5, 1), BatchNormAct2d(5)
    )


@pytest.fixture
def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 3, 5, 5, generator=generator) * scale + scale for scale in (1, 2, 5)]


def test_every_kind_is_found_by_name(network: nn.Sequential) -> None:
    kinds = nn.ModuleDict({"a": nn.BatchNorm1d(2), "b": nn.BatchNorm3d(2), "c": nn.SyncBatchNorm(2), "d": network})
    kinds["e"] = nn.GroupNorm(1, 2)
    assert list(batch_norm_layers(kinds)) == ["a", "b", "c", "d.1", "d.5"]
    assert batch_norm_layers(network)["5"] is network[5]
    assert batch_norm_layers(timm.create_model("vit_tiny_patch16_224", device="meta")) == {}


def test_the_layer_inside_ac_norm_is_found(network: nn.Sequential) -> None:
    layer = network[1]
    assert batch_norm_layers(convert_ac_norm(network, ["1"]))["1.bn"] is layer


def test_reestimated_statistics_are_those_of_all_inputs(network: nn.Sequential, batches: list[Tensor]) -> None:
    batches[2] = batches[2][:2]  # groups need not be equal
    reestimate_statistics(network, iter(batches))
    assert network[1].num_batches_tracked == 3
    first = [network[0](batch).detach().numpy().astype(np.float64) for batch in batches]
    everything = np.concatenate(first)
    np.testing.assert_allclose(network[1].running_mean, everything.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network[1].running_var, everything.var((0, 2, 3), ddof=1), rtol=1e-5)
    # the next layer sees the first one normalised group by group, and no dropout
    second = []
    for x in first:
        normalised = (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
        weight, bias = network[4].weight.detach().numpy()[:, :, 0, 0], network[4].bias.detach().numpy()
        second.append(np.einsum("oc,bchw->bohw", weight, np.maximum(normalised, 0)) + bias[:, None, None])
    everything = np.concatenate(second)
    np.testing.assert_allclose(network[5].running_mean, everything.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network[5].running_var, everything.var((0, 2, 3), ddof=1), rtol=1e-4)


def test_reestimation_leaves_everything_else_alone(network: nn.Sequential, batches: list[Tensor]) -> None:
    network.train()
    network[5].eval()
    network[1].momentum = 0.3
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    reestimate_statistics(network, batches)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if "running" in name or "num_batches" in name}
    assert network[1].momentum == 0.3
    assert network.training and network[1].training and not network[5].training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_reestimation_of_ac_norm(network: nn.Sequential, batches: list[Tensor]) -> None:
    plain = reestimated = network
    reestimate_statistics(plain, batches)
    mean = plain[1].running_mean.clone()
    convert_ac_norm(reestimated, ["1"], reference=True)
    plain[1].bn.reset_running_stats()
    reestimate_statistics(reestimated, batches)
    torch.testing.assert_close(reestimated[1].bn.running_mean, mean)


def test_an_interrupted_or_empty_reestimation_changes_nothing(network: nn.Sequential, batches: list[Tensor]) -> None:
    network(batches[0])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ValueError, match="No images"):
        reestimate_statistics(network, [])
    with pytest.raises(RuntimeError):
        reestimate_statistics(network, [batches[0], torch.zeros(1, 7, 5, 5)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network[1].momentum == 0.1 and network.training


def test_processes_with_unequal_shares_agree_with_one(network: nn.Sequential, batches: list[Tensor]) -> None:
    """One process saw the first two groups, the other the third, and a third process none."""
    reestimate_statistics(network, batches)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shares: list[list[Tensor]] = []
    for mine in (batches[2:], []):
        shares.append([])
        with contextlib.suppress(ValueError):
            reestimate_statistics(network, mine, all_reduce=lambda x: shares[-1].append(x.clone()) or x + (x.ndim == 0))
    others = iter(zip(*shares, strict=True))
    reestimate_statistics(network, batches[:2], all_reduce=lambda x: sum(next(others), start=x))
    assert network[1].num_batches_tracked == 3
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-6, atol=1e-7)
