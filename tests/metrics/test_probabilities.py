from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from transfusion_cli.metrics.probabilities import decisions, log_odds, probabilities
from transfusion_cli.targets import TARGETS, Target


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


def exact_log_odds(target: Target, row: list[float]) -> list[float]:
    """By the definition, in numbers of 400 digits."""
    with localcontext(prec=400):
        if target in ("binary", "multilabel"):
            return row
        weights = [Decimal(value).exp() for value in row]
        if target == "ordinal":
            yes = [weight / (1 + weight) for weight in weights]
            reached = [Decimal(1)]
            for share in yes:
                reached.append(reached[-1] * share)
            weights = [here * (1 - share) for here, share in zip(reached, yes, strict=False)] + reached[-1:]
        total = sum(weights)
        return [float((weight / (total - weight)).ln()) for weight in weights]


LOGITS = st.lists(st.floats(-60, 60, width=32) | st.sampled_from([-300.0, 300.0, 0.0]), min_size=3, max_size=3)


@given(target=st.sampled_from(TARGETS), rows=st.lists(LOGITS, min_size=1, max_size=4))
def test_log_odds_are_their_definition_however_sure_the_network(target: Target, rows: list[list[float]]) -> None:
    expected = [exact_log_odds(target, row) for row in rows]
    np.testing.assert_allclose(log_odds(target, torch.tensor(rows)), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("target", TARGETS)
def test_log_odds_are_those_of_the_probabilities(target: Target) -> None:
    logits = torch.randn(300, 4) * 4
    torch.testing.assert_close(log_odds(target, logits), probabilities(target, logits).logit(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_samples_that_all_look_certain_stay_apart_and_equal_ones_tie(target: Target) -> None:
    sure = torch.tensor([38.0, 41.5, 41.5, 60.0, 3e38])[:, None] * torch.tensor([1.0, -1, -1])
    if target == "ordinal":
        sure = sure.neg()
    assert (probabilities(target, sure)[:, 0] == 1).all()
    first = log_odds(target, sure)[:, 0]
    assert first.isfinite().all()
    assert first.diff().sign().tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("target", TARGETS)
def test_log_odds_of_finite_logits_are_numbers(target: Target) -> None:
    assert not log_odds(target, torch.tensor([[3e38, -3e38, 0.0], [-3e38, 3e38, 3e38]])).isnan().any()
    assert log_odds(target, torch.full((1, 3), torch.nan)).isnan().all()


def test_decisions() -> None:
    assert decisions("multiclass", torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])).tolist() == [1, 0]
    assert decisions("multilabel", torch.tensor([[0.5, 0.51]])).tolist() == [[False, True]]


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_and_low_precision_are_left_behind(target) -> None:
    p = probabilities(target, torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True))
    assert p.dtype == torch.float64 and not p.requires_grad
    odds = log_odds(target, torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True))
    assert odds.dtype == torch.float64 and not odds.requires_grad
