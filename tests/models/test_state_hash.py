from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from transfusion_cli.models.state_hash import state_hash


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(3), "c": torch.zeros(0, dtype=torch.bfloat16)}


def test_it_is_sha256_of_names_types_shapes_and_bytes() -> None:
    tensor = torch.tensor([1.5, -2.0])
    expected = hashlib.sha256(b"x\0torch.float32\0(2,)\0" + tensor.numpy().tobytes()).hexdigest()
    assert state_hash({"x": tensor}) == expected


def test_order_and_memory_layout_do_not_matter(state: dict[str, Tensor]) -> None:
    other = {"c": state["c"], "a": state["a"], "b": state["b"].T.contiguous().T}
    assert not other["b"].is_contiguous()
    assert state_hash(other) == state_hash(state)


@given(st.sampled_from(["name", "value", "dtype", "shape"]))
def test_content_matters(change: str) -> None:
    tensor = torch.arange(6, dtype=torch.int32).reshape(2, 3)
    changed = {
        "name": {"y": tensor},
        "value": {"x": tensor + (tensor == 5)},
        "dtype": {"x": tensor.view(torch.float32)},
        "shape": {"x": tensor.reshape(3, 2)},
    }[change]
    assert state_hash(changed) != state_hash({"x": tensor})
