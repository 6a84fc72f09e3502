from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from transfusion_cli.metrics.ranking import ranking

# Few distinct scores, so that ties within and between the classes are the rule.
CASES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans(), st.integers(0, 3), st.floats(0.01, 5)),
    min_size=2,
    max_size=25,
)


def ours(scores, truth, weights) -> list[float]:
    weights = torch.tensor(weights, dtype=torch.float64)
    return [value.item() for value in ranking(torch.tensor(scores), torch.tensor(truth), weights)]


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_equals_sklearn_on_repeated_samples(cases) -> None:
    scores, truth, times, _ = zip(*cases, strict=True)
    auroc, precision = ours(scores, truth, times)
    repeated, theirs = np.repeat(truth, times), np.repeat(scores, times)
    if len(set(repeated.tolist())) < 2:
        assert math.isnan(auroc) and math.isnan(precision)
    else:
        assert auroc == pytest.approx(sk.roc_auc_score(repeated, theirs), abs=1e-12)
        assert precision == pytest.approx(sk.average_precision_score(repeated, theirs), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_equals_sklearn_under_any_weights(cases) -> None:
    scores, truth, _, weights = zip(*cases, strict=True)
    auroc, precision = ours(scores, truth, weights)
    if len(set(truth)) < 2:
        assert math.isnan(auroc) and math.isnan(precision)
    else:
        assert auroc == pytest.approx(sk.roc_auc_score(truth, scores, sample_weight=weights), abs=1e-12)
        assert precision == pytest.approx(sk.average_precision_score(truth, scores, sample_weight=weights), abs=1e-12)


def test_can_be_differentiated_where_weights_are_zero() -> None:
    weights = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([True, True, False, False])
    for value in ranking(torch.tensor([0.4, 0.9, 0.1, 0.6]), truth, weights):
        (slope,) = torch.autograd.grad(value, weights, retain_graph=True)
        assert slope.isfinite().all()
