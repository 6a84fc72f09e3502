"""Thresholds keep what their rules promise, on any validation split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule, candidates


@st.composite
def cases(draw):
    """Probabilities, some of them equal or at an end, and truth with a case on either side."""
    some = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    p = np.array(draw(st.lists(some, min_size=2, max_size=20)))
    truth = np.array(draw(st.lists(st.booleans(), min_size=len(p), max_size=len(p))))
    truth[0], truth[1] = True, False
    return p, truth


def shares(p, truth, threshold):
    called = p > threshold
    return called[truth].mean(), (~called[~truth]).mean()


@given(cases(), st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]))
@settings(max_examples=150)
def test_a_target_is_reached_and_the_next_threshold_misses_it(data, target):
    p, truth = data
    every = candidates(p)
    sensitive = ThresholdRule("sensitivity", target).choose(p, truth)
    specific = ThresholdRule("specificity", target).choose(p, truth)
    assert shares(p, truth, sensitive)[0] >= target - 1e-9 and shares(p, truth, specific)[1] >= target - 1e-9
    assert all(shares(p, truth, next_up)[0] < target for next_up in every[every > sensitive][:1])
    assert all(shares(p, truth, next_down)[1] < target for next_down in every[every < specific][-1:])


def f1(called, truth):
    return 2 * (called & truth).sum() / (called.sum() + truth.sum())


@given(cases())
@settings(max_examples=80)
def test_nothing_is_better_by_youden_or_f1(data):
    p, truth = data
    youden = ThresholdRule("youden").choose(p, truth)
    false, true, _ = roc_curve(truth, p, drop_intermediate=False)
    assert sum(shares(p, truth, youden)) - 1 == pytest.approx((true - false).max(), abs=1e-9)
    best = f1(p > ThresholdRule("f1").choose(p, truth), truth)
    assert best == pytest.approx(max(f1(p >= level, truth) for level in p), abs=1e-9)


@given(cases())
def test_candidates_tell_all_cases_apart(data):
    p, _ = data
    made = candidates(p)
    counts = [int((p > threshold).sum()) for threshold in made]
    assert counts[0] == len(p) and counts[-1] == 0 and (np.diff(made) > 0).all()
    assert len(set(counts)) == len(counts) == len(np.unique(p)) + 1


@pytest.mark.parametrize("text", ["youden", "f1", "sensitivity=0.95", "specificity=0.9", "0.3"])
def test_rules_are_read_as_they_are_written(text):
    assert str(ThresholdRule.parse(text)) == text
    assert ThresholdRule.parse("0.3").choose(np.array([0.1]), np.array([True])) == 0.3


@pytest.mark.parametrize("text", ["", "best", "sensitivity", "sensitivity=95", "specificity=0", "1", "nan", "f1=0.3"])
def test_what_is_no_rule(text):
    with pytest.raises(UserError, match=r"sensitivity=0\.95"):
        ThresholdRule.parse(text)
