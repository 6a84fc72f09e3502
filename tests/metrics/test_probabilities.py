from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from transfusion_cli.metrics.probabilities import decisions, probabilities
from transfusion_cli.targets import TARGETS


def test_sigmoid_and_softmax_agree_with_scipy() -> None:
    logits = torch.randn(50, 4) * 5
    assert np.allclose(probabilities("multilabel", logits), expit(logits.double().numpy()), atol=1e-15)
    assert np.allclose(probabilities("multiclass", logits), softmax(logits.double().numpy(), axis=1), atol=1e-15)


def test_confident_logits_stay_distinct() -> None:
    assert len(probabilities("binary", torch.tensor([[18.0], [19.0], [20.0]])).unique()) == 3


def test_ordinal_by_hand() -> None:
    # P(y > 0) = 0.8, P(y > 1 | y > 0) = 0.5: classes 0.2, 0.4, 0.4.
    logits = torch.tensor([[0.8, 0.5]]).logit()
    assert probabilities("ordinal", logits)[0].tolist() == pytest.approx([0.2, 0.4, 0.4])
    assert decisions("ordinal", torch.tensor([[0.2, 0.4, 0.4]])).tolist() == [1]


@given(st.lists(st.lists(st.floats(-60, 60), min_size=3, max_size=3), min_size=1, max_size=5))
def test_ordinal_is_a_distribution_and_its_decision_the_median(logits: list[list[float]]) -> None:
    p = probabilities("ordinal", torch.tensor(logits))
    assert p.shape == (len(logits), 4)
    assert (p >= 0).all()
    assert torch.allclose(p.sum(dim=1), torch.ones(len(p), dtype=p.dtype))
    exceeds = np.cumprod(expit(np.float32(logits).astype(float)), axis=1)
    clear = (np.abs(exceeds - 0.5) > 1e-9).all(axis=1)
    assert (decisions("ordinal", p).numpy() == (exceeds > 0.5).sum(axis=1))[clear].all()


def test_decisions() -> None:
    assert decisions("multiclass", torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])).tolist() == [1, 0]
    assert decisions("multilabel", torch.tensor([[0.5, 0.51]])).tolist() == [[False, True]]


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_and_low_precision_are_left_behind(target) -> None:
    p = probabilities(target, torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True))
    assert p.dtype == torch.float64 and not p.requires_grad
