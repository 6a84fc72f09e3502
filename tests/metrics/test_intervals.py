"""Intervals against statsmodels, against other solutions of their equations, and where there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint
from support.obuchowski import mixed_patients
from support.predicted import intervals_of, metrics_of, predicted

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.estimate import Estimate
from transfusion_cli.metrics.intervals import Interval, doubt, mover, newcombe, student, too_few, wilson
from transfusion_cli.targets import TARGETS

NAN = float("nan")
CONFIDENCES = [0.5, 0.8, 0.95, 0.99]


def estimate(value: float, variance: float, patients: dict[str, int], **kwargs) -> Estimate:
    """One that has this variance."""
    spread = torch.zeros(4, 3, dtype=torch.float64)
    spread[0, 0] = math.sqrt(variance)
    return Estimate(value, spread, patients, **kwargs)


def share(right, patients=None) -> Estimate:
    """The accuracy of decisions that are right or wrong."""
    right = torch.as_tensor(np.asarray(right, dtype=float))[:, None]
    return ClassificationEvaluation.of("multilabel", ["yes"], right, right * 0 + 1, patients).estimates["accuracy/yes"]


def statsmodels_wilson(value: float, cases: float, patients: int, confidence: float):
    """At the quantile of Student's t."""
    alpha = 2 * norm.sf(t.ppf((1 + confidence) / 2, patients - 1))
    return proportion_confint(value * cases, cases, alpha=alpha, method="wilson")


@pytest.mark.parametrize("target", TARGETS)
def test_they_have_the_metrics_names_and_surround_them(target) -> None:
    data = predicted(target)
    plain = metrics_of(*data)
    intervals = intervals_of(*data)
    assert list(intervals) == list(plain)
    for name, (low, high, method, why) in intervals.items():
        assert low < plain[name] < high and low >= (-1 if name == "kappa" else 0) and high <= 1
        assert method and not why


@pytest.mark.parametrize("target", TARGETS)
def test_confidence_widens(target) -> None:
    each = [intervals_of(*predicted(target), confidence=confidence) for confidence in CONFIDENCES]
    for narrow, wide in pairwise(each):
        assert all(wide[name].low < narrow[name].low < narrow[name].high < wide[name].high for name in narrow)


# Shares: Wilson


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("right", "images"), [(1, 10), (5, 10), (9, 12), (37, 150), (149, 150)])
def test_wilson_is_that_of_statsmodels(right: int, images: int, confidence: float) -> None:
    """As it is for shares; the variance of other metrics, here p (1 - p) / (n - 1) too, is doubted."""
    of = share(np.arange(images) < right)
    expected = statsmodels_wilson(right / images, images, images, confidence)
    assert wilson(of, confidence, share=True)[:2] == pytest.approx(expected, abs=1e-9)
    expected = statsmodels_wilson(right / images, (images - 1) * (images - 2) / images, images, confidence)
    assert wilson(of, confidence)[:2] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("right", [0, 1])
def test_wilson_of_all_or_none_right_counts_patients(right: int) -> None:
    expected = statsmodels_wilson(right, 25, 25, 0.95)
    assert wilson(share([right] * 25), 0.95)[:2] == pytest.approx(expected, abs=1e-9)
    several = share([right] * 100, list(range(25)) * 4)
    assert wilson(several, 0.95)[:2] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_wilson_of_clusters_divides_the_cases_by_the_design_effect(seed: int) -> None:
    _, right, patients = mixed_patients(models=0, seed=seed)
    names, images, p = sorted(set(patients)), len(right), right.mean()
    beyond = [sum(right[patients == name] - p) for name in names]
    design = len(names) / (len(names) - 1) * sum(np.square(beyond)) / images**2 / (p * (1 - p) / images)
    assert design > 1.2
    expected = statsmodels_wilson(p, images / design * (1 - 2 / len(names)), len(names), 0.95)
    assert wilson(share(right, patients), 0.95, share=True)[:2] == pytest.approx(expected, abs=1e-9)


def test_wilson_of_what_begins_at_minus_one_is_that_of_a_share_stretched() -> None:
    kappa = estimate(0.4, 0.01, {"patients": 40})
    low, high = wilson(estimate(0.7, 0.0025, {"patients": 40}), 0.95)[:2]
    assert wilson(kappa, 0.95, lowest=-1)[:2] == pytest.approx((2 * low - 1, 2 * high - 1), abs=1e-12)


# Areas: Newcombe


def solution(area: Estimate, confidence: float) -> tuple[float, float]:
    """Method 5 of Newcombe (2006) as its docstring states it, by a root finder."""
    value, k = area.value, min(area.patients.values())
    design = max(1, area.variance / area.alone) if area.alone else 1
    m, n = (count / design for count in area.cases.values())
    star = (m + n) / 2 - 1

    def model(theta: float) -> float:
        return theta * (1 - theta) * (1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)) / (m * n)

    correction = 1.0
    if 0 < value < 1:
        correction = area.variance / model(value) * k / (k - 2)
        correction = max(correction, 1) * min(correction, 1) ** (k / (k + 20))
    q = t.ppf((1 + confidence) / 2, k - 1)

    def beyond(theta: float) -> float:
        return (value - theta) ** 2 - q**2 * correction * model(theta)

    low = brentq(beyond, 0, min(value, 1 - 1e-9), xtol=1e-14) if value > 0 else 0
    high = brentq(beyond, max(value, 1e-9), 1, xtol=1e-14) if value < 1 else 1
    return low, high


def area_estimate(value: float, positives: int, negatives: int, ratio: float = 1, design: float = 1) -> Estimate:
    """An AUROC whose variance is so many times that of exponential scores, with two images a patient."""
    alone = ratio * value * (1 - value) / (3 * min(positives, negatives))
    patients = {"positives": (positives + 1) // 2, "negatives": (negatives + 1) // 2}
    cases = {"positives": positives, "negatives": negatives}
    return estimate(value, design * alone, patients, cases=cases, alone=alone)


AREAS = st.builds(
    area_estimate,
    value=st.floats(0.02, 0.98) | st.sampled_from([0.0, 0.5, 1.0]),
    positives=st.integers(20, 400),
    negatives=st.integers(20, 4000),
    ratio=st.floats(0.1, 4),
    design=st.floats(0.3, 5),
)


@settings(deadline=None)
@given(AREAS, st.sampled_from(CONFIDENCES))
def test_newcombe_solves_its_equation_around_the_value_inside_the_unit_interval(area, confidence: float) -> None:
    low, high, method, why = newcombe(area, confidence)
    assert (low, high) == pytest.approx(solution(area, confidence), abs=1e-9)
    assert 0 <= low <= area.value <= high <= 1 and high - low > 0
    assert (low == 0) == (area.value == 0) and (high == 1) == (area.value == 1)
    assert "Newcombe" in method and not why


@settings(deadline=None)
@given(AREAS)
def test_newcombe_widens_with_confidence(area) -> None:
    lows, highs = zip(*(newcombe(area, confidence)[:2] for confidence in CONFIDENCES), strict=True)
    assert list(lows) == sorted(lows, reverse=True) and list(highs) == sorted(highs)


@pytest.mark.parametrize("separation", [-2.0, 0.0, 0.4, 2.0])
def test_newcombe_mirrors(separation: float) -> None:
    """Areas of scores and of the same scores turned round: 0 and 1, one half, and between."""
    truth = torch.arange(60) % 3 == 0
    scores = 0.5 + 0.2 * (separation * truth + torch.sin(torch.arange(60).double()) * (separation != 0))
    of = ClassificationEvaluation.of
    up, down = (
        of("binary", ["n", "p"], torch.full((60, 1), 0.5), truth[:, None].float(), scores=sign * scores[:, None])
        for sign in (1, -1)
    )
    low, high, *words = up.intervals()["auroc"]
    assert up.metrics["auroc"] == {-2.0: 0, 0.0: 0.5, 2.0: 1}.get(separation, up.metrics["auroc"])
    assert 0.05 < high - low < 0.5
    assert down.metrics["auroc"] == pytest.approx(1 - up.metrics["auroc"], abs=1e-12)
    assert down.intervals()["auroc"] == (pytest.approx(1 - high, abs=1e-12), pytest.approx(1 - low, abs=1e-12), *words)


# Means: MOVER


def parts_of(*limits: tuple[float, float, float]):
    return [(value, Interval(low, high, "Wilson")) for value, low, high in limits]


THREE = parts_of((0.9, 0.7, 0.95), (0.6, 0.5, 0.72), (0.8, 0.75, 0.82))


def test_mover_of_one_part_is_the_part() -> None:
    of = ClassificationEvaluation.of(*predicted("binary"))
    assert of.intervals()["auroc"] == newcombe(of.estimates["auroc/class 1"], 0.95)
    assert mover(THREE[:1], torch.eye(1)) is THREE[0][1]


def test_mover_of_independent_parts_is_the_closed_form() -> None:
    low, high, method, why = mover(THREE, torch.tensor([4.0, 2.0, 1.0]).double().diag())
    mean = (0.9 + 0.6 + 0.8) / 3
    assert low == pytest.approx(mean - math.sqrt(0.2**2 + 0.1**2 + 0.05**2) / 3, abs=1e-12)
    assert high == pytest.approx(mean + math.sqrt(0.05**2 + 0.12**2 + 0.02**2) / 3, abs=1e-12)
    assert (method, why) == ("MOVER of Wilson", "")


@pytest.mark.parametrize("r", [0.3, -0.6])
def test_mover_of_two_correlated_parts_is_that_of_zou(r: float) -> None:
    covariance = torch.tensor([[4.0, 2 * r], [2 * r, 1.0]], dtype=torch.float64)
    low, high = mover(THREE[:2], covariance)[:2]
    assert low == pytest.approx(0.75 - math.sqrt(0.2**2 + 0.1**2 + 2 * r * 0.2 * 0.1) / 2, abs=1e-12)
    assert high == pytest.approx(0.75 + math.sqrt(0.05**2 + 0.12**2 + 2 * r * 0.05 * 0.12) / 2, abs=1e-12)


def test_mover_of_perfectly_correlated_parts_averages_the_limits() -> None:
    deviation = torch.tensor([2.0, 1.0, 3.0]).double()
    low, high = mover(THREE, deviation[:, None] * deviation)[:2]
    assert (low, high) == pytest.approx(((0.7 + 0.5 + 0.75) / 3, (0.95 + 0.72 + 0.82) / 3), abs=1e-12)


def test_mover_of_a_part_without_variance_takes_it_as_independent() -> None:
    low, _ = mover(THREE[:2], torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double())[:2]
    assert low == pytest.approx(0.75 - math.sqrt(0.2**2 + 0.1**2) / 2, abs=1e-12)


# No interval


def few(positives: int, images_each: int = 3, negatives: int = 40) -> ClassificationEvaluation:
    """So many patients with positives, each with some images."""
    patients = np.repeat(np.arange(positives + negatives), images_each)
    truth = (patients < positives).astype(float)
    scores = 0.5 * np.sin(np.arange(len(truth))) ** 2 + 0.3 * truth
    return ClassificationEvaluation.of(
        "binary", ["n", "p"], torch.tensor(scores)[:, None], torch.tensor(truth)[:, None], patients
    )


def test_nine_positive_patients_are_too_few_and_ten_are_not() -> None:
    nine, ten = few(9).intervals(), few(10).intervals()
    for name in ("auroc", "average_precision", "f1", "sensitivity", "balanced_accuracy", "kappa"):
        assert nine[name].why == "too few positives (9)" and nine[name].method == "", name
        assert math.isnan(nine[name].low) and math.isnan(nine[name].high), name
        assert ten[name].why == "" and ten[name].low < ten[name].high, name
    for name in ("accuracy", "specificity", "recognition_rate"):  # these rest on all images, or on negatives
        assert nine[name].why == "" and nine[name].low < nine[name].high, name


def test_few_negatives_are_too_few_as_well() -> None:
    found = few(30, negatives=9).intervals()
    assert found["auroc"].why == found["specificity"].why == "too few negatives (9)"
    assert not found["sensitivity"].why


def test_patients_count_not_images() -> None:
    assert few(9, images_each=50).intervals()["auroc"].why == "too few positives (9)"
    alone = few(9, images_each=2).of_patients(None)
    assert alone.intervals()["auroc"].why == ""
    assert too_few(alone.estimates["auroc"]) is None


def test_one_patient_has_no_interval() -> None:
    data = predicted("binary", samples=20)
    intervals = intervals_of(*data.arguments, ["only"] * 20)
    assert list(intervals) == list(metrics_of(*data.arguments, ["only"] * 20))
    assert all(math.isnan(low) and math.isnan(high) and why for low, high, _, why in intervals.values())
    assert intervals["accuracy"].why == "too few patients (1)"


def test_a_mean_over_classes_takes_the_reason_of_the_class_with_the_fewest() -> None:
    targets = torch.zeros(300, 4)
    for label, positives in enumerate([50, 7, 3, 0]):
        targets[:positives, label] = 1
    scores = torch.rand(300, 4, generator=torch.Generator().manual_seed(0))
    found = intervals_of("multilabel", ["many", "seven", "three", "none"], scores, targets)
    assert found["auroc/many"].why == "" and found["accuracy"].why == ""
    assert found["auroc/seven"].why == "too few positives (7)"
    assert found["auroc/none"].why == "too few positives (0)"
    for name in ("auroc", "average_precision", "f1", "balanced_accuracy"):
        assert found[name].why == "too few positives (3)", name
    assert math.isnan(found["auroc"].low) and math.isnan(found["auroc"].high)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_known_has_no_interval(target) -> None:
    for name, (low, high, _, why) in intervals_of(*predicted(target, unknown=1.1)).items():
        assert math.isnan(low) and math.isnan(high) and why, name


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TARGETS), st.integers(0, 80), st.integers(0, 10_000), st.booleans(), st.sampled_from([0, 0.5]))
def test_of_any_data_there_is_an_interval_around_the_value_or_a_reason(target, samples, seed, known, unknown) -> None:
    data = predicted(target, samples=samples, seed=seed, unknown=unknown)
    of = ClassificationEvaluation.of(*data.arguments, data.patients if known else None)
    assert all(estimate.spread.isfinite().all() for estimate in of.estimates.values())
    assert list(of.intervals()) == list(of.metrics)
    for name, (low, high, method, why) in of.intervals().items():
        assert bool(why) != bool(method), name
        if why:
            assert math.isnan(low) and math.isnan(high), name
        else:
            assert (-1 if name == "kappa" else 0) <= low < high <= 1, name
            assert low - 1e-12 <= of.metrics[name] <= high + 1e-12, name


def test_what_is_undefined_has_no_interval_however_many_patients() -> None:
    """Of one class alone, and decided so, kappa is 0 / 0."""
    probabilities = torch.tensor([[0.8, 0.1, 0.1]]).expand(40, -1)
    of = ClassificationEvaluation.of("ordinal", list("abc"), probabilities, torch.zeros(40, dtype=torch.int64))
    assert math.isnan(of.metrics["kappa"]) and of.metrics["accuracy"] == 1
    low, high, method, why = of.intervals()["kappa"]
    assert math.isnan(low) and math.isnan(high) and (method, why) == ("", "undefined")
    assert of.intervals()["accuracy"].high == pytest.approx(1)


# Patients


@pytest.mark.parametrize("target", TARGETS)
def test_copies_of_the_same_patients_images_do_not_narrow_intervals(target) -> None:
    data = predicted(target, samples=150, unknown=0)
    shape = (20, *[1] * (data.targets.ndim - 1))
    copied = data.probabilities.repeat(20, 1), data.targets.repeat(shape)
    once = intervals_of(*data.arguments)
    by_patient = intervals_of(target, data.class_names, *copied, list(range(150)) * 20)
    by_sample = intervals_of(target, data.class_names, *copied)
    for name, (low, high, *_) in once.items():
        if math.isfinite(low):
            # a design effect that has to be estimated is doubted, by up to k / (k - 2)
            ratio = (by_patient[name].high - by_patient[name].low) / (high - low)
            assert 0.995 < ratio < 1.05, name
            assert by_sample[name].high - by_sample[name].low < 0.4 * (high - low), name


def test_of_a_part_of_the_cases_intervals_are_wider() -> None:
    data = predicted("binary")
    whole = ClassificationEvaluation.of(*data)
    half = replace(whole, patients=np.array(data.patients)).take(torch.arange(len(data.targets)) < 100)
    for name, (low, high, *_) in half.intervals().items():
        assert high - low > whole.intervals()[name].high - whole.intervals()[name].low, name


def test_variances_of_few_patients_are_doubted_as_students_t_does() -> None:
    assert doubt(12) == pytest.approx(t(12).var(), abs=1e-12) == 1.2


def test_the_quantile_is_students() -> None:
    assert student(0.95, 11) == pytest.approx(2.2281388520, abs=1e-9)  # from the tables, 10 degrees of freedom
