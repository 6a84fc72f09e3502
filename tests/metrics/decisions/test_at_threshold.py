"""Decisions against scikit-learn, predictive values against Bayes' rule, net benefit against its definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score
from support.decided import labels

from transfusion_cli.metrics.decisions.at_threshold import AtThreshold
from transfusion_cli.metrics.decisions.decision_curve import decision_curve
from transfusion_cli.metrics.decisions.prevalence import predictive_values, ratio
from transfusion_cli.metrics.intervals import Interval


def test_shares_at_a_threshold_of_each_label():
    evaluation = labels(400, ("a", "b", "c"), each=2)
    evaluation.targets[:100, 1] = math.nan
    decided = AtThreshold.of(evaluation, {"b": 0.3, "a": 0.7})
    assert list(decided.names) == ["a", "b"]
    for at, (name, threshold) in enumerate({"a": 0.7, "b": 0.3}.items()):
        known = ~evaluation.targets[:, at].isnan()
        y, called = evaluation.targets[known, at].numpy(), (evaluation.probabilities[known, at] > threshold).numpy()
        found = {kind: decided.metrics[f"{kind}/{name}"] for kind in ("sensitivity", "specificity", "ppv", "npv")}
        assert found["sensitivity"] == pytest.approx(recall_score(y, called))
        assert found["specificity"] == pytest.approx(recall_score(y, called, pos_label=0))
        assert found["ppv"] == pytest.approx(precision_score(y, called))
        assert found["npv"] == pytest.approx(precision_score(y, called, pos_label=0))
        assert decided.estimates[f"ppv/{name}"].cases == {"called positive": called.sum()}
        low, high, *_ = decided.intervals()[f"ppv/{name}"]
        assert low < found["ppv"] < high
        benefit = (called * y - 0.0 - called * (1 - y) * threshold / (1 - threshold)).mean()
        assert decided.metrics[f"net_benefit/{name}"] == pytest.approx(benefit)


def test_a_share_of_independent_cases_is_wilsons():
    from scipy.stats import binomtest

    evaluation = labels(2000).of_patients(None)
    decided = AtThreshold.of(evaluation, {"sick": 0.5})
    called, truth = decided.chosen[:, 0], decided.answers[:, 0]
    exact = binomtest(int((called & truth).sum()), int(called.sum())).proportion_ci(method="wilson")
    low, high, *_ = decided.intervals()["ppv/sick"]  # with Student's t in place of the normal
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-3)


def test_nobody_is_called():
    decided = AtThreshold.of(labels(100), {"sick": 1.0})
    assert math.isnan(decided.metrics["ppv/sick"]) and decided.metrics["specificity/sick"] == 1
    assert decided.intervals()["ppv/sick"].why == "too few called positive (0)"


def test_predictive_values_follow_bayes():
    sensitivity, specificity = (0.9, Interval(0.8, 0.95)), (0.7, Interval(0.6, 0.8))
    for prevalence in (0.01, 0.2, 0.5):
        (ppv, of_ppv), (npv, of_npv) = predictive_values(sensitivity, specificity, prevalence)
        assert ppv == pytest.approx(0.9 * prevalence / (0.9 * prevalence + 0.3 * (1 - prevalence)))
        assert npv == pytest.approx(0.7 * (1 - prevalence) / (0.7 * (1 - prevalence) + 0.1 * prevalence))
        assert of_ppv.low < ppv < of_ppv.high and of_npv.low < npv < of_npv.high
    (own, _), _ = predictive_values(sensitivity, specificity, 0.3)
    assert own == pytest.approx(0.27 / (0.27 + 0.21))


def test_without_a_false_alarm_there_may_still_be_some_elsewhere():
    (ppv, interval), _ = predictive_values((0.9, Interval(0.8, 0.95)), (1.0, Interval(0.96, 1.0)), 0.01)
    assert ppv == 1 and interval.high == 1 and 0.1 < interval.low < 0.4
    (_, unknown), _ = predictive_values(
        (0.9, Interval(math.nan, math.nan, why="too few")), (1.0, Interval(0.9, 1)), 0.1
    )
    assert unknown.why == "too few" and math.isnan(unknown.low)


limits = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(limits, limits)
def test_the_interval_of_a_ratio_holds_it(first, second):
    (a_low, a, a_high), (b_low, b, b_high) = first, second
    if b_high < 1e-6 or a_high < 1e-6:
        return
    value, (low, high, *_) = ratio((a, Interval(a_low, a_high)), (b, Interval(b_low, b_high)))
    assert math.isnan(value) or (low <= value * (1 + 1e-6) + 1e-9 and value <= high * (1 + 1e-6) + 1e-9 and low >= 0)


def test_the_ratio_to_a_share_that_is_known_is_that_of_the_limits():
    _, (low, high, *_) = ratio((0.6, Interval(0.6, 0.6)), (0.3, Interval(0.2, 0.5)))
    assert (low, high) == pytest.approx((0.6 / 0.5, 0.6 / 0.2))


def test_a_decision_curve():
    evaluation = labels(300, each=3)
    curve = decision_curve(evaluation, "sick", np.array([0.1, 0.5]))
    decided = AtThreshold.of(evaluation, {"sick": 0.5})
    assert curve.benefit[1] == pytest.approx(decided.metrics["net_benefit/sick"])
    interval = decided.intervals()["net_benefit/sick"]
    assert (curve.low[1], curve.high[1]) == pytest.approx(interval[:2], rel=1e-6)
    share = evaluation.targets.mean().item()
    assert curve.all == pytest.approx([share - (1 - share) / 9, share - (1 - share)])
    few = decision_curve(evaluation.take(torch.arange(12)), "sick", np.array([0.5]))
    assert np.isnan(few.low).all() and np.isfinite(few.benefit).all()
