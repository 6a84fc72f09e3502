"""Movement of weights."""

import math

import pytest
import torch
from support.networks import randomised
from torch import nn

from transfusion_cli.analysis.weights import movement, weight_matrices
from transfusion_cli.models.stages import stage_of_tensors


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


def test_weights_as_matrices():
    matrices = weight_matrices(randomised())
    assert matrices["layer3.0.conv2.weight"].shape == (64, 64 * 9) and "bn1.weight" not in matrices
