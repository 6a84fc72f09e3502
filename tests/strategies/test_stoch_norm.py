"""Batch or moving statistics by chance."""

from types import SimpleNamespace

import pytest
import timm
import torch
from support.regularised import check_whole_life, refused
from support.runs import make_task
from timm.layers import BatchNormAct2d
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models import stoch_norm as layers
from transfusion_cli.strategies import HeadOnly, StochNorm


def drawn(layer):
    """A layer with statistics and affine far from their defaults, in double precision."""
    for tensor in (layer.weight.data, layer.running_var):
        tensor.uniform_(0.5, 1.5)
    for tensor in (layer.bias.data, layer.running_mean):
        tensor.normal_()
    return layer.double().train()


@pytest.mark.parametrize("dims", [0, 2, 3])
def test_each_channel_has_the_statistics_that_chance_says(dims):
    torch.manual_seed(0)
    kind = {0: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
    layer = layers.StochNorm(drawn(kind(5)))
    bn = layer.bn
    mean, var, momentum = bn.running_mean.clone(), bn.running_var.clone(), bn.momentum
    x = (3 * torch.randn(7, 5, *[4] * dims, dtype=torch.float64) + 1).requires_grad_()
    layer.by_batch = torch.tensor([True, False, True, False, False])
    found = layer(x)

    others = [0, *range(2, x.ndim)]
    count = x.numel() // 5
    batch_mean = x.mean(others)
    batch_var = ((x - batch_mean.view(1, 5, *[1] * dims)) ** 2).mean(others)

    def normalised(a, b):
        shape = (1, 5, *[1] * dims)
        whitened = (x - a.view(shape)) / (b.view(shape) + bn.eps).sqrt()
        return whitened * bn.weight.view(shape) + bn.bias.view(shape)

    s = layer.by_batch.double().view(1, 5, *[1] * dims)
    expected = (1 - s) * normalised(mean, var) + s * normalised(batch_mean, batch_var)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(found)
    inputs = (x, bn.weight, bn.bias)
    for one, two in zip(
        torch.autograd.grad((found * weights).sum(), inputs, retain_graph=True),
        torch.autograd.grad((expected * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(bn.running_mean, (1 - momentum) * mean + momentum * batch_mean.detach())
    unbiased = batch_var.detach() * count / (count - 1)
    torch.testing.assert_close(bn.running_var, (1 - momentum) * var + momentum * unbiased)
    assert bn.num_batches_tracked == 1
    assert torch.equal(layer.eval()(x), bn(x))


def test_fused_layers_keep_their_activation():
    fused = drawn(BatchNormAct2d(3))
    layer = layers.StochNorm(fused)
    layer.by_batch = torch.tensor([True, False, True])
    assert layer(torch.randn(4, 3, 5, 5).double()).min() == 0


@pytest.mark.parametrize(("p", "low", "high"), [(0.9, 0.87, 0.93), (0.5, 0.46, 0.54), (0.0, 0, 0), (1.0, 1, 1)])
def test_the_chance_is_the_one_asked_for(p, low, high, tmp_path):
    task = make_task(tmp_path, StochNorm(p))
    task.build()
    draws = []
    for step in range(3):
        loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=step))
        task.transfer.strategies[0].on_train_batch_start(SimpleNamespace(fit_loop=loop), task, None, step)
        draws.append(torch.cat([layer.by_batch for layer in layers.stoch_norm_layers(task.network).values()]))
    assert low <= torch.stack(draws).double().mean() <= high
    assert p in (0, 1) or not torch.equal(draws[0], draws[1])


def test_whole_life(tmp_path):
    check_whole_life(tmp_path, StochNorm)


def test_volumes(tmp_path):
    task = make_task(tmp_path, StochNorm(), dims=3)
    task.build()
    images = torch.randn(2, 3, 8, 8, 8)
    for layer in layers.stoch_norm_layers(task.network).values():
        layer.by_batch = torch.rand(layer.bn.num_features) < 0.5
    task(images).sum().backward()
    expected = task.eval()(images)
    task.transfer.finalize(task.network)
    assert not layers.stoch_norm_layers(task.network)
    assert torch.equal(task(images), expected)


def test_where_it_would_do_nothing_it_is_refused(tmp_path):
    refused(tmp_path, [StochNorm(), HeadOnly()], "statistics are frozen")
    refused(tmp_path, StochNorm(), "none left", pretrained=False)
    with pytest.raises(UserError, match="probability"):
        StochNorm(1.5)


def test_networks_without_it():
    assert not layers.stoch_norm_layers(timm.create_model("test_vit"))
