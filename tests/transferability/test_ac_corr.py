"""AC-Corr and what stands beside it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import randomised, source_file
from support.tiny import TinyDataModule
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ACNorm
from transfusion_cli.transferability.ac_corr import Training, ac_corr, order_of, prepared, summed
from transfusion_cli.transferability.candidates import read_candidates
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.source import Source

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL = {"backbone": "cifar_resnet20", "target": "binary", "class_names": ["no", "yes"], "dims": 2}


def layer(scale, shift, new_scale, new_shift, eps=1e-5):
    bn = nn.BatchNorm2d(len(scale), eps=eps)
    with torch.no_grad():
        bn.weight.copy_(torch.as_tensor(scale))
        bn.bias.copy_(torch.as_tensor(shift))
        found = ACNorm(bn, reference=True)
        bn.weight.copy_(torch.as_tensor(new_scale))
        bn.bias.copy_(torch.as_tensor(new_shift))
    return found


def golden(name):
    """A layer of the authors' code, and the sum of its correlation at temperature 1."""
    with np.load(GOLDEN / f"acnorm_{name}.npz") as arrays:
        affines = [arrays[f"{of}_{what}"] for of in ("source", "target") for what in ("weight", "bias")]
        found = layer(*affines, eps=float(arrays["eps"]))
        return found, float(arrays["ac_corr_layer_sum"])


@pytest.mark.parametrize("name", ["2d", "2d_t05", "3d"])
def test_published_sums(name):
    found, expected = golden(name)
    total, per_channel = summed([found])
    assert total == pytest.approx(expected, rel=1e-5)
    assert per_channel == pytest.approx(expected / len(found.source_weight), rel=1e-5)


def test_layers_are_averaged():
    found = [golden(name) for name in ("2d", "3d")]
    total, per_channel = summed([one for one, _ in found])
    assert total == pytest.approx(sum(expected for _, expected in found) / 2, rel=1e-5)
    assert per_channel == pytest.approx(sum(summed([one])[1] for one, _ in found) / 2, rel=1e-9)


def test_without_drift_it_is_the_diagonal():
    shift = np.random.default_rng(0).normal(size=64).astype(np.float32)
    ones = np.ones(64, np.float32)
    y = shift / (1 + 1e-5)
    expected = (1 / np.exp(-np.abs(y[:, None] - y)).sum(axis=1)).sum()
    assert summed([layer(ones, shift, ones, shift)])[0] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def images(tmp_path):
    return Images(TinyDataModule(train=20, other=8), "train", 100, 0, tmp_path)


def source(tmp_path, text=None):
    (candidate,) = read_candidates([text or f"cifar_resnet20={source_file(tmp_path)}"])
    return Source.load(candidate, MODEL)


def measured(tmp_path, images, *how, **model):
    return ac_corr(source(tmp_path, **model), images, "binary", 2, Training(*how), "cpu")


def test_it_moves_with_the_steps_and_begins_at_the_baseline(tmp_path, images):
    still, one, again, more, faster = (
        measured(tmp_path, images, *how) for how in ((1, 0.0), (1, 1e-3), (1, 1e-3), ("epoch", 1e-3), (1, 1e-2))
    )
    assert still.value == still.baseline and still.update == 0
    assert one == again, "seed, order and rate are fixed"
    assert one.baseline == still.baseline == more.baseline
    assert 0 < one.update < more.update and one.update < faster.update
    assert len({still.value, one.value, more.value, faster.value}) == 4
    # One step of Adam moves every scale and shift by the learning rate.
    affines = sum(layer.weight.numel() * 2 for layer in randomised().modules() if isinstance(layer, nn.BatchNorm2d))
    assert one.update == pytest.approx(1e-3 * affines**0.5, rel=1e-3)


def test_the_candidate_stays_as_it_was(tmp_path, images):
    found = source(tmp_path)
    before = {name: value.clone() for name, value in found.network.state_dict().items()}
    ac_corr(found, images, "binary", 2, Training(2), "cpu")
    assert all(torch.equal(value, before[name]) for name, value in found.network.state_dict().items())
    assert not found.network.training


def test_batches_are_the_same_for_all_candidates(images):
    def order(*how):
        return [batch.tolist() for batch in order_of(Training(*how), images)]

    assert order(3, 1e-3, 1) == order(3, 9.0, 1) != order(3, 1e-3, 2)
    assert [len(batch) for batch in order("epoch")] == [8, 8]
    assert order("epoch") == order(2) == order(5)[:2]
    assert len(order(5)) == 5 and len({place for batch in order(2) for place in batch}) == 16
    facts = {"steps": 3, "lr": 1e-3, "seed": 0, "optimizer": "Adam", "batch_size": 8, "taken": 3}
    assert Training(3).facts(images) == facts


def test_only_layers_with_a_source_become_ac_norm(tmp_path):
    found = source(tmp_path)
    some = frozenset(name for name in found.carried if not name.startswith("layer3"))
    layers = [name for name, module in prepared(found.network, some, 3).named_modules() if isinstance(module, ACNorm)]
    assert layers and not any(name.startswith("layer3") for name in layers)


@pytest.mark.parametrize(
    ("text", "told"),
    [("cifar_resnet20=random:1", "BatchNorm layers are drawn"), ("vit_tiny_patch16_224=random:1", "no BatchNorm")],
)
def test_candidates_without(text, told, tmp_path):
    found = source(tmp_path, text)
    with pytest.raises(UserError, match=told):
        prepared(found.network, found.carried, 1)


def test_training_that_diverges(tmp_path, images):
    with pytest.raises(UserError, match="diverged at the learning rate 1e\\+30"):
        measured(tmp_path, images, 4, 1e30)
