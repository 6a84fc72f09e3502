"""Mean-Var initialisation keeps moments, not features."""

import pytest
import timm
import torch
from support.networks import randomised, source_file
from support.runs import make_task

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.strategies import MeanVarInit


def start(tmp_path, policy="reset", seed=42, **kwargs):
    task = make_task(tmp_path, MeanVarInit(batch_norm=policy), seed=seed, **kwargs)
    task.build()
    return task.network.state_dict()


def test_each_tensor_has_the_moments_of_its_pretrained_tensor(tmp_path):
    source = torch.load(source_file(tmp_path), weights_only=True)
    state = start(tmp_path)
    for name, pretrained in source.items():
        if "conv" not in name:
            continue
        n = pretrained.numel()
        assert not torch.equal(state[name], pretrained)
        # The moments of n draws scatter by std/sqrt(n) and std/sqrt(2n); five of those is never exceeded by chance.
        assert abs(state[name].mean() - pretrained.mean()) < 5 * pretrained.std() / n**0.5
        assert abs(state[name].std() - pretrained.std()) < 5 * pretrained.std() / (2 * n) ** 0.5


def test_draws_are_normal(tmp_path):
    values = start(tmp_path)["layer3.2.conv2.weight"].flatten().double()
    z = (values - values.mean()) / values.std()
    assert abs((z**3).mean()) < 0.1 and abs((z**4).mean() - 3) < 0.2


@pytest.mark.parametrize("policy", ["reset", "resample", "copy"])
def test_batch_norm_policies(policy, tmp_path):
    source = torch.load(source_file(tmp_path), weights_only=True)
    state = start(tmp_path, policy)
    affine = ("bn1.weight", "bn1.bias", "layer2.1.bn2.weight")
    statistics = ("bn1.running_mean", "bn1.running_var")
    for name in affine:
        copied, reset = torch.equal(state[name], source[name]), len(state[name].unique()) == 1
        assert (copied, reset) == {"copy": (True, False), "reset": (False, True), "resample": (False, False)}[policy]
    for name in statistics:
        fresh = torch.zeros(16) if "mean" in name else torch.ones(16)
        assert torch.equal(state[name], source[name] if policy == "copy" else fresh)
    assert all((tensor >= 0).all() for name, tensor in state.items() if name.endswith("running_var"))


def is_reset(layer):
    fresh = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
    return all((getattr(layer, name) == value).all() for name, value in fresh.items())


@pytest.mark.parametrize("name", ["resnet18", "seresnet50", "regnety_002", "levit_128s", "cifar_resnet20"])
def test_reset_leaves_no_scale_at_zero(name):
    """timm starts the last scale of a block at 0 (ResNet, SE-ResNet, RegNet) or of a branch (LeViT)."""
    network = timm.create_model(name, num_classes=2)
    source = {name: torch.rand_like(tensor.float()) for name, tensor in network.state_dict().items()}
    MeanVarInit("reset").initialize(network, source, torch.Generator())
    layers = batch_norm_layers(network)
    assert len(layers) > 15
    assert [name for name, layer in layers.items() if not is_reset(layer)] == []


def test_only_layers_of_the_given_tensors_are_reset():
    network = timm.create_model("resnet18", num_classes=2)
    source = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(("layer2.", "fc."))}
    MeanVarInit("reset").initialize(network, source, torch.Generator())
    assert is_reset(network.layer2[1].bn2)
    assert (network.layer1[1].bn2.weight == 0).all() and (network.layer3[1].bn2.weight == 0).all()


def test_the_head_is_fresh_and_the_seed_decides(tmp_path):
    one, same, other = start(tmp_path), start(tmp_path), start(tmp_path, seed=43)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])
    plain = make_task(tmp_path)
    plain.build()
    assert torch.equal(one["fc.weight"], plain.network.state_dict()["fc.weight"])


def test_a_tensor_of_one_number_is_no_nan(tmp_path):
    network = randomised("cifar_resnet20", in_chans=1)
    source = {"conv1.weight": torch.full((16, 1, 3, 3), 0.5), "bn1.weight": torch.tensor([2.0])}
    MeanVarInit("resample").initialize(network, {"conv1.weight": source["conv1.weight"]}, torch.Generator())
    assert torch.equal(network.conv1.weight, source["conv1.weight"])
