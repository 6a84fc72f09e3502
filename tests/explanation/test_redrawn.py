"""Weights that are drawn anew, and come back."""

import pytest
import torch
from support.adapted import drawn
from support.runs import make_task

from transfusion_cli.explanation.redrawn import LEVELS, Redrawn


def state_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(before, network):
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_each_level_draws_what_it_says():
    network = drawn("test_resnet")
    before, redrawn, found = state_of(network), Redrawn(network), {}
    for level in LEVELS:
        with redrawn.drawn(level, 0):
            found[level] = changed(before, network)
            assert all((value > 0).all() for name, value in network.state_dict().items() if name.endswith("_var"))
        assert not changed(before, network)
    assert found["head"] == {"fc.weight", "fc.bias"}
    own = {name for name in before if name.startswith("layer4.") and "num_batches" not in name}
    assert found["last_stage"] == {"fc.weight", "fc.bias"} | own
    floats = {name for name, value in before.items() if value.is_floating_point() and value.numel() > 1}
    assert found["all"] == floats


def test_weights_have_no_mean_and_keep_their_size():
    network = drawn("test_resnet", num_classes=400)
    with torch.no_grad():
        weight = network.fc.weight.add_(1).detach()
    size = weight.square().mean().sqrt()
    with Redrawn(network).drawn("head", 0):
        assert abs(float(weight.mean())) < 0.05
        assert abs(float(weight.square().mean().sqrt() / size) - 1) < 0.05


def test_a_draw_is_its_seeds_alone_and_levels_share_it():
    network = drawn("test_resnet")
    redrawn, found = Redrawn(network), []
    for level, seed in (("head", 0), ("head", 0), ("all", 0), ("head", 1)):
        torch.rand(3)
        with redrawn.drawn(level, seed):
            found.append(network.fc.weight.detach().clone())
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[3])


def test_it_is_undone_after_an_error_too():
    network = drawn("cifar_vit6")
    before = state_of(network)
    with pytest.raises(ZeroDivisionError), Redrawn(network).drawn("all", 0):
        assert {"pos_embed", "blocks.0.attn.qkv.weight", "head.weight"} <= changed(before, network)
        raise ZeroDivisionError
    assert not changed(before, network)


def test_stages_of_a_task_whose_classifier_is_ours(tmp_path):
    task = make_task(tmp_path)
    task.build()
    levels = Redrawn(task.network).levels
    assert levels["head"] == ["fc.weight", "fc.bias"]
    assert {name.split(".")[0] for name in levels["last_stage"]} == {"fc", "layer3"}
