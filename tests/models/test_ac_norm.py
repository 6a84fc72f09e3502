from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import nn
from torch.func import functional_call

import transfusion_cli.models  # noqa: F401 (registers our backbones)
from transfusion_cli.models.ac_norm import ACNorm, ac_norm_layers, convert_ac_norm, fold_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers

GOLDEN = Path(__file__).parents[1] / "golden"
AFFINE = st.lists(st.tuples(*[st.floats(-3, 3, width=32)] * 4), min_size=1, max_size=12)


def layer(channels: int = 6, kind: type[nn.Module] = nn.BatchNorm2d, seed: int = 0, **options: object) -> ACNorm:
    """An AC-Norm layer whose target affine has moved away from its source."""
    generator = torch.Generator().manual_seed(seed)
    bn = kind(channels)
    with torch.no_grad():
        for tensor in (bn.weight, bn.bias, bn.running_mean):
            tensor.normal_(generator=generator)
        bn.running_var.uniform_(0.5, 2, generator=generator)
        ac_norm = ACNorm(bn, **options)
        for tensor in (bn.weight, bn.bias):
            tensor.add_(0.3 * torch.randn(channels, generator=generator))
    return ac_norm


def oracle_correlation(ac_norm: ACNorm) -> np.ndarray:
    """The published definition, row by row in float64, from softmax values instead of distances."""
    gs, bs, gt, bt = (
        x.detach().double().numpy()
        for x in (ac_norm.source_weight, ac_norm.source_bias, ac_norm.bn.weight, ac_norm.bn.bias)
    )
    eps = ac_norm.bn.eps
    source, target = bs / (np.abs(gs) + eps), bt / (np.abs(gt) + eps)
    rows = []
    for i in range(len(target)):
        logits = -np.abs(target[i] - source) / ac_norm.temperature
        row = np.exp(logits - logits.max())
        row /= row.sum()
        rows.append(np.where(row >= row[i], row, 0))
    return np.array(rows)


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize(("file", "kind"), [("2d", nn.BatchNorm2d), ("2d_t05", nn.BatchNorm2d), ("3d", nn.BatchNorm3d)])
def test_published_numbers(file: str, kind: type[nn.Module], reference: bool) -> None:
    with np.load(GOLDEN / f"acnorm_{file}.npz") as arrays:
        golden = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    bn = kind(len(golden["x"][0]), eps=float(golden["eps"]))
    bn.load_state_dict(
        {"weight": golden["source_weight"], "bias": golden["source_bias"]}
        | {name: golden[name] for name in ("running_mean", "running_var")},
        strict=False,
    )
    ac_norm = ACNorm(bn, temperature=float(golden["temperature"]), reference=reference)
    with torch.no_grad():
        bn.weight.copy_(golden["target_weight"])
        bn.bias.copy_(golden["target_bias"])
    for mode in ("eval", "train"):
        ac_norm.train(mode == "train").zero_grad()
        x = golden["x"].clone().requires_grad_()
        out = ac_norm(x)
        out.backward(golden["upstream"])
        found = {"output": out, "grad_x": x.grad, "grad_weight": bn.weight.grad, "grad_bias": bn.bias.grad}
        for name, value in found.items():
            torch.testing.assert_close(value, golden[f"{mode}_{name}"], rtol=0, atol=1e-5)
    if reference:
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(getattr(bn, name), golden[f"{name}_after_one_train_step"], rtol=0, atol=1e-6)
        assert bn.num_batches_tracked == 0
        assert bn.momentum == 0.1
    else:  # one pass moves them by the momentum itself: 0.1 instead of 0.19 of the way
        moved = golden["running_mean_after_one_train_step"] - golden["running_mean"]
        torch.testing.assert_close(bn.running_mean, golden["running_mean"] + moved * 0.1 / 0.19)
        assert bn.num_batches_tracked == 1
    ac_norm.temperature = 1.0
    torch.testing.assert_close(ac_norm.correlation(), golden["sparse_correlation_t1"], rtol=0, atol=1e-6)
    torch.testing.assert_close(ac_norm.correlation().sum(), golden["ac_corr_layer_sum"], rtol=1e-6, atol=0)


@given(AFFINE, st.sampled_from([0.5, 1.0, 3.0]))
def test_correlation_properties(values: list[tuple[float, ...]], temperature: float) -> None:
    ac_norm = ACNorm(nn.BatchNorm1d(len(values)), temperature=temperature, reference=True)
    gs, bs, gt, bt = torch.tensor(values).T
    ac_norm.load_state_dict({"source_weight": gs, "source_bias": bs, "bn.weight": gt, "bn.bias": bt}, strict=False)
    for reference in (True, False):
        ac_norm.reference = reference
        correlation = ac_norm.correlation()
        assert torch.isfinite(correlation).all()
        assert (correlation >= 0).all() and (correlation.sum(1) <= 1 + 1e-5).all()
        assert not correlation.requires_grad
        own = correlation.diagonal()[:, None]
        assert ((correlation == 0) | (correlation >= own * (1 - 1e-5))).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_correlation_against_the_definition(temperature: float) -> None:
    ac_norm = layer(20, temperature=temperature)
    np.testing.assert_allclose(ac_norm.correlation(), oracle_correlation(ac_norm), atol=1e-6)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
@pytest.mark.parametrize("training", [True, False])
def test_one_pass_equals_the_sum_of_two(kind: type[nn.Module], training: bool) -> None:
    ac_norm = layer(5, kind).train(training)
    x = torch.randn(4, 5, *{nn.BatchNorm1d: (), nn.BatchNorm2d: (3, 3), nn.BatchNorm3d: (2, 3, 2)}[kind])
    plain, recalibrated = copy.deepcopy(ac_norm.bn), copy.deepcopy(ac_norm.bn)
    with torch.no_grad():
        for parameter in (recalibrated.weight, recalibrated.bias):
            parameter.copy_(torch.from_numpy(oracle_correlation(ac_norm)).float() @ parameter)
    expected = plain(x) + recalibrated(x)
    torch.testing.assert_close(ac_norm(x), expected, rtol=1e-5, atol=1e-5)
    ac_norm.combine = "mean"
    torch.testing.assert_close(ac_norm(x), expected / 2, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_target_through_both_terms_and_nothing_else() -> None:
    ac_norm = layer().eval()
    correlation = torch.from_numpy(oracle_correlation(ac_norm)).float()
    x = torch.randn(3, 6, 4, 4)
    ac_norm(x).square().sum().backward()
    plain = copy.deepcopy(ac_norm.bn).requires_grad_()
    with torch.no_grad():
        for parameter in (plain.weight, plain.bias):
            parameter.add_(correlation @ parameter)
            parameter.grad = None
    plain(x).square().sum().backward()
    for name in ("weight", "bias"):
        upstream = getattr(plain, name).grad
        torch.testing.assert_close(getattr(ac_norm.bn, name).grad, upstream + correlation.T @ upstream)
    assert {name for name, _ in ac_norm.named_parameters()} == {"bn.weight", "bn.bias"}
    assert {"source_weight", "source_bias"} < {name for name, _ in ac_norm.named_buffers()}


def test_a_dead_channel_keeps_to_itself() -> None:
    bn = nn.BatchNorm2d(4)
    with torch.no_grad():
        bn.weight.copy_(torch.tensor([1.0, 0.0, 0.5, 2.0]))
        bn.bias.copy_(torch.tensor([0.1, 0.2, -0.3, 0.4]))
    ac_norm = ACNorm(bn)
    with torch.no_grad():
        bn.weight[1] = 0.01  # moving out of zero must not make it take its neighbours' affines
    correlation = ac_norm.correlation()
    assert correlation[1].tolist() == [0, 1, 0, 0]
    assert correlation[:, 1].tolist() == [0, 1, 0, 0]
    ac_norm.reference = True
    assert ac_norm.correlation()[1].count_nonzero() > 1


def test_nothing_is_stale_whatever_changes_the_affine() -> None:
    ac_norm, other, x = layer(seed=1).eval(), layer(seed=2).eval(), torch.randn(2, 6, 3, 3)

    def assert_fresh() -> None:
        fresh = copy.deepcopy(ac_norm)
        assert torch.equal(ac_norm(x), fresh(x))

    ac_norm(x)
    with torch.no_grad():
        ac_norm.bn.weight.mul_(2)
    assert_fresh()
    ac_norm.load_state_dict(other.state_dict())
    assert torch.equal(ac_norm(x), other(x))
    ac_norm.load_state_dict(layer(seed=3).state_dict(), assign=True)
    assert_fresh()
    ac_norm.bn.bias.data = torch.ones(6)
    assert_fresh()
    ac_norm.bn.bias.data.add_(1)
    ac_norm.eval()
    assert_fresh()
    with torch.inference_mode():
        ac_norm(x)
    ac_norm(x).sum().backward()  # what was kept is no inference tensor


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_low_precision_keep_the_correlation_exact(dtype: torch.dtype) -> None:
    ac_norm, x = layer(64), torch.randn(4, 64, 3, 3)
    expected = copy.deepcopy(ac_norm).combined_affine()[0]
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(ac_norm.combined_affine()[0], expected)
        assert ac_norm(x.to(dtype)).dtype == dtype
    assert ac_norm.bn.running_var.dtype == torch.float32 and torch.isfinite(ac_norm.bn.running_var).all()
    low = copy.deepcopy(ac_norm).to(torch.bfloat16)
    assert low.correlation().dtype == torch.float32
    assert low(x.bfloat16()).dtype == torch.bfloat16


def with_state(ac_norm: ACNorm, state: dict[str, torch.Tensor]) -> ACNorm:
    """A copy of the layer that holds ``state``."""
    fresh = copy.deepcopy(ac_norm)
    fresh.load_state_dict(state)
    return fresh


def test_temporary_affines_are_told_apart() -> None:
    """Made, used and freed one after the other, they get each other's addresses, and every version is 0."""
    ac_norm, x = layer(256).eval(), torch.randn(2, 256, 3, 3)
    state, addresses = ac_norm.state_dict(), set()
    for step in range(20):
        moved = {name: tensor + 0.1 * step if "bn.bias" in name else tensor.clone() for name, tensor in state.items()}
        addresses.add(moved["bn.bias"].data_ptr())
        assert torch.equal(functional_call(ac_norm, moved, (x,)), with_state(ac_norm, moved)(x))
        del moved
    assert len(addresses) < 20  # memory was used again, or this test says nothing


def test_a_copy_and_a_pickle_give_the_same() -> None:
    ac_norm, x = layer().eval(), torch.randn(2, 6, 3, 3)
    out = ac_norm(x)
    for twin in (copy.deepcopy(ac_norm), pickle.loads(pickle.dumps(ac_norm))):
        assert torch.equal(twin(x), out)
        assert twin.bn.weight is not ac_norm.bn.weight


def test_source_affine_survives_a_checkpoint() -> None:
    ac_norm, fresh = layer(), ACNorm(nn.BatchNorm2d(6))
    fresh.load_state_dict(ac_norm.state_dict())
    assert torch.equal(fresh.source_bias, ac_norm.source_bias)
    assert not torch.equal(fresh.source_bias, fresh.bn.bias)


def test_momentum_none_averages_all_batches() -> None:
    for reference in (True, False):
        ac_norm = layer(reference=reference)
        ac_norm.bn.momentum = None
        ac_norm.bn.reset_running_stats()
        x = torch.randn(2, 4, 6, 3, 3)
        for batch in x:
            ac_norm(batch)
        torch.testing.assert_close(ac_norm.bn.running_mean, x.mean((1, 3, 4)).mean(0))


def test_layers_it_cannot_wrap() -> None:
    with pytest.raises(ValueError, match="scale and shift"):
        ACNorm(nn.BatchNorm2d(3, affine=False))
    with pytest.raises(ValueError, match="temperature"):
        ACNorm(nn.BatchNorm2d(3), temperature=0.0)
    with pytest.raises(ValueError, match="'0' is no normalisation"):
        convert_ac_norm(nn.Sequential(nn.Conv2d(3, 3, 1)), ["0"])


def test_sync_batch_norm_conversion_changes_the_wrapped_layer_alone() -> None:
    weight = (network := nn.Sequential(layer(), layer(kind=BatchNormAct2d)))[0].bn.weight
    synced = convert_sync_batchnorm(network)
    assert all(isinstance(ac_norm.bn, nn.SyncBatchNorm) for ac_norm in ac_norm_layers(synced).values())
    assert len(ac_norm_layers(synced)) == 2
    assert synced[0].bn.weight is weight
    assert isinstance(synced[1].bn.act, nn.ReLU)


def test_fused_activation_stays() -> None:
    ac_norm = layer(kind=BatchNormAct2d)
    assert (ac_norm(torch.randn(4, 6, 3, 3)) >= 0).all()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("cifar_resnet20", 16),
        ("test_efficientnet", 32),
        ("test_byobnet", 32),
        ("resnet18", 64),
        ("mobilenetv3_small_100", 64),
        ("regnety_002", 64),
        ("densenet121", 64),
        ("resnetv2_50", 64),
        ("inception_v3", 96),
    ],
)
def test_networks_convert_train_and_fold(name: str, size: int) -> None:
    torch.manual_seed(0)
    network, x = timm.create_model(name, num_classes=3), torch.randn(2, 3, size, size)
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    layers = batch_norm_layers(network)
    left, *names = layers
    with torch.no_grad():
        for bn in layers.values():
            bn.weight.uniform_(0.5, 1.5)
            bn.bias.normal_(std=0.3)
            bn.momentum = None  # one batch sets the statistics
    assert convert_ac_norm(network, names) is network
    assert len(ac_norm_layers(network)) == len(names) > 5
    assert network.get_submodule(left) is layers[left]
    network.train()(x).sum().backward()
    assert all(bn.weight.grad is not None for bn in layers.values())
    with torch.no_grad():
        for bn in layers.values():
            bn.weight.add_(0.05 * torch.randn_like(bn.weight))
        network.eval()
        expected = network(x)
        out = fold_ac_norm(network)(x)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    assert expected.isfinite().all() and not torch.allclose(expected[0], expected[1], rtol=1e-3)
    assert {key: tensor.shape for key, tensor in network.state_dict().items()} == shapes


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.booleans(), st.sampled_from(["sum", "mean"]))
def test_folding_keeps_the_output(channels: int, reference: bool, combine: str) -> None:
    network = nn.Sequential(layer(channels, seed=channels, reference=reference, combine=combine)).eval()
    x = torch.randn(3, channels, 2, 2)
    expected = network(x)
    assert type(fold_ac_norm(network)[0]) is nn.BatchNorm2d
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)


def test_compiled() -> None:
    ac_norm, x = layer(), torch.randn(4, 6, 3, 3)
    expected = copy.deepcopy(ac_norm)(x)
    torch.testing.assert_close(torch.compile(ac_norm, backend="eager")(x), expected)


@pytest.mark.parametrize("options", [{}, {"reference": True}, {"combine": "mean", "temperature": 0.5}])
def test_without_the_matrix_as_with_it(options: dict[str, object]) -> None:
    """What a CPU computes is what other devices do."""
    ac_norm = layer(64, **options)
    with torch.no_grad():
        if not ac_norm.reference:
            ac_norm.bn.weight[:3] = ac_norm.source_weight[5] = 0
        affine = torch.stack((ac_norm.bn.weight, ac_norm.bn.bias))
    expected = affine + affine @ ac_norm.correlation().T
    found = torch.stack(ac_norm.combined_affine())
    torch.testing.assert_close(found, expected / 2 if ac_norm.combine == "mean" else expected)


def test_where_no_channel_of_the_source_is_alive_none_takes_from_another() -> None:
    ac_norm = layer(8)
    ac_norm.source_weight.zero_()
    assert torch.equal(ac_norm.combined_affine()[0], 2 * ac_norm.bn.weight)
