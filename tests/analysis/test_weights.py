"""Movement of weights, effective rank, and filters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import randomised
from torch import nn

from transfusion_cli.analysis.filters import chance_likeness, gabor_likeness, grey_filters, stretched
from transfusion_cli.analysis.measures.effective_rank import effective_rank, weight_matrices
from transfusion_cli.analysis.weights import movement, stage_of_tensors
from transfusion_cli.models.gabor import gabor_bank


def rows_of(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_a_known_movement():
    a, b = randomised(), randomised()
    with torch.no_grad():
        b.layer2[0].conv1.weight.mul_(1.5)
        b.bn1.weight.add_(1)
    rows = movement(a, b)
    moved = {row["name"] for row in rows_of(rows, level="tensor", measure="l2") if row["value"] > 0}
    assert moved == {"layer2.0.conv1.weight", "bn1.weight"}
    (relative,) = rows_of(rows, name="layer2.0.conv1.weight", measure="relative_l2")
    assert relative["value"] == pytest.approx(0.5) and relative["role"] == "weight"
    (cosine,) = rows_of(rows, name="layer2.0.conv1.weight", measure="cosine")
    assert cosine["value"] == pytest.approx(1)
    (scale,) = rows_of(rows, name="bn1.weight", measure="l2")
    assert scale["value"] == pytest.approx(4) and scale["role"] == "scale"  # 16 channels by 1
    (stage,) = rows_of(rows, level="stage", stage="conv1", role="scale", measure="l2")
    assert stage["value"] == pytest.approx(4)


def test_stages_add_up():
    a, b = randomised(seed=0), randomised(seed=1)
    rows = movement(a, b)
    parts = rows_of(rows, level="tensor", stage="block2", measure="l2")
    learned = [row for row in parts if not row["role"].startswith("running")]
    (whole,) = rows_of(rows, level="stage", stage="block2", role="parameters", measure="l2")
    assert whole["value"] == pytest.approx(math.sqrt(sum(row["value"] ** 2 for row in learned)))
    assert whole["elements"] == sum(row["elements"] for row in learned)
    stages = list(dict.fromkeys(row["stage"] for row in rows_of(rows, level="stage")))
    assert stages == ["conv1", "block1", "block2", "block3", "head"]
    assert set(stage_of_tensors(a)) == set(a.state_dict())


def test_what_does_not_fit_is_left_out_and_what_is_undefined_is_nan():
    a, b = randomised(), randomised()
    b.fc = nn.Linear(64, 3)
    nn.init.zeros_(a.bn1.bias)
    rows = movement(a, b)
    assert not rows_of(rows, stage="head")
    for measure in ("relative_l2", "cosine"):
        (row,) = rows_of(rows, name="bn1.bias", measure=measure)
        assert math.isnan(row["value"])
    (row,) = rows_of(rows, name="bn1.bias", measure="l2")
    assert row["value"] == pytest.approx(float(b.bn1.bias.norm()))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_effective_rank_is_between_one_and_the_rank(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    assert 1 - 1e-9 <= effective_rank(matrix) <= min(rows, columns) + 1e-9
    assert effective_rank(3 * matrix) == pytest.approx(effective_rank(matrix))


def test_effective_rank_known_values():
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(5, 9)) == pytest.approx(1, abs=1e-6)
    assert effective_rank(torch.zeros(4, 4)) == 0
    # Singular values 3 and 1: the entropy of (3/4, 1/4).
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(math.exp(entropy))
    matrices = weight_matrices(randomised())
    assert matrices["layer3.0.conv2.weight"].shape == (64, 64 * 9) and "bn1.weight" not in matrices


def test_gabor_filters_are_like_gabor_filters():
    bank = gabor_bank(64, (7, 7)).float()
    assert torch.allclose(gabor_likeness(bank), torch.ones(64, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(gabor_likeness(2 - 5 * bank), torch.ones(64, dtype=torch.float64), atol=1e-6)
    noise = torch.randn(500, 7, 7, generator=torch.Generator().manual_seed(3))
    assert gabor_likeness(noise).mean() == pytest.approx(chance_likeness(7, 7), abs=0.02)
    assert chance_likeness(7, 7) < 0.5
    assert gabor_likeness(torch.ones(2, 7, 7)).tolist() == [0, 0]


def test_filters_are_grey_and_stretched():
    network = randomised()
    network.conv1.weight.data[0] = 0.25
    grey = grey_filters(network)
    assert grey.shape == (16, 3, 3)
    shown = stretched(grey)
    assert (shown[0] == 0.5).all(), "a constant filter"
    assert (shown[1:].amin((1, 2)) == 0).all() and (shown[1:].amax((1, 2)) == 1).all()
