"""Differences of recipes against computations by hand from the covariances of the papers."""

from __future__ import annotations

import math
from itertools import product
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from statsmodels.stats.multitest import multipletests
from support.obuchowski import areas, by_definition, mixed_patients

from transfusion_cli.metrics.difference import Difference, difference, holm
from transfusion_cli.metrics.estimate import Estimate


def runs(first: int, second: int, seed: int = 0):
    """AUROCs of the runs of two recipes, these by definition with their covariances, and the degrees of freedom."""
    models, truth, patients = mixed_patients(first + second, seed=seed)
    models[first:] = (models[first:] + 0.15 * truth).round(2)  # the second recipe is better
    found = areas(models, truth, patients)
    freedom = min(len(set(patients[truth])), len(set(patients[~truth]))) - 1
    return found[:first], found[first:], *by_definition(models, truth, patients), freedom


def expected(value: float, variance: float, freedom: float, recipes: bool, confidence: float = 0.95):
    """What follows by Student's t."""
    error = math.sqrt(variance)
    margin = t.ppf((1 + confidence) / 2, freedom) * error
    p, above = 2 * t.cdf(-abs(value) / error, freedom), t.cdf(value / error, freedom)
    return pytest.approx((value, value - margin, value + margin, p, above, recipes), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clustered", [True, False], ids=["patients", "images"])
def test_one_run_each_is_the_test_of_delong(clustered: bool, seed: int) -> None:
    models, truth, patients = mixed_patients(2, seed=seed)
    patients = patients if clustered else np.arange(len(truth))
    values, matrix = by_definition(models, truth, patients)
    freedom = min(len(set(patients[truth])), len(set(patients[~truth]))) - 1
    variance = matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]
    first, second = areas(models, truth, patients)
    for paired in (True, False):  # the patients are the same, whatever the seeds
        for confidence in (0.8, 0.95):
            ours = difference([first], [second], paired, confidence)
            assert ours[:6] == expected(values[0] - values[1], variance, freedom, False, confidence)


@pytest.mark.parametrize(("many", "more"), [(2, 2), (2, 5), (1, 4), (5, 1)])
def test_two_seeds_speak_of_the_trained_networks_alone(many: int, more: int) -> None:
    first, second, values, matrix, freedom = runs(many, more)
    contrast = np.array([1 / many] * many + [-1 / more] * more)
    ours = difference(first, second, paired=many == more)
    assert ours[:6] == expected(contrast @ values, contrast @ matrix @ contrast, freedom, False)


def shared_by_seeds(matrix, first: int, second: int, paired: bool) -> float:
    """Mean covariances of different runs: of one recipe, of the other, less twice those across."""

    def mean(pairs) -> float:
        return float(np.mean([matrix[r, s] for r, s in pairs]))

    one, other = range(first), range(first, first + second)
    across = [(r, s) for r, s in product(one, other) if not (paired and s == r + first)]
    own = [[(r, s) for r, s in product(group, group) if r != s] for group in (one, other)]
    return mean(own[0]) + mean(own[1]) - 2 * mean(across)


@pytest.mark.parametrize("seed", range(4))
def test_paired_seeds_by_hand(seed: int) -> None:
    first, second, values, matrix, freedom = runs(4, 4, seed)
    gaps = values[:4] - values[4:]
    between, shared = gaps.var(ddof=1) / 4, max(0, shared_by_seeds(matrix, 4, 4, paired=True))
    own = (between + shared) / (between / 3 + shared / freedom)
    ours = difference(first, second, paired=True)
    assert ours[:6] == expected(gaps.mean(), between + shared, own, True)


@pytest.mark.parametrize("seed", range(4))
def test_unpaired_seeds_by_hand(seed: int) -> None:
    first, second, values, matrix, freedom = runs(3, 5, seed)
    parts = [values[:3].var(ddof=1) / 3, values[3:].var(ddof=1) / 5]
    shared = max(0, shared_by_seeds(matrix, 3, 5, paired=False))
    own = (sum(parts) + shared) / (parts[0] / 2 + parts[1] / 4 + shared / freedom)
    ours = difference(first, second, paired=False)
    assert ours[:6] == expected(values[:3].mean() - values[3:].mean(), sum(parts) + shared, own, True)


def test_patients_add_to_the_variance_in_some_of_these() -> None:
    """Or the two tests above would not be of what they share."""
    each = [runs(4, 4, seed)[3] for seed in range(4)]
    assert any(shared_by_seeds(matrix, 4, 4, paired=True) > 1e-5 for matrix in each)
    assert any(shared_by_seeds(matrix, 4, 4, paired=False) > 1e-5 for matrix in each)


def with_spread(values, patients: int = 50, seed: int = 0) -> list[Estimate]:
    """Runs with these values, whose errors are independent."""
    draws = torch.Generator().manual_seed(seed)
    spreads = torch.randn(len(values), 4, patients, generator=draws, dtype=torch.float64) / 100
    return [Estimate(value, spread, {"patients": patients}) for value, spread in zip(values, spreads, strict=True)]


def test_pairs_help_where_seeds_move_both_recipes_alike() -> None:
    values = np.array([0.7, 0.8, 0.75, 0.9])
    first, second = with_spread(values), with_spread(values - 0.05 + 0.002 * np.cos(range(4)), seed=1)
    paired, apart = (difference(first, second, paired) for paired in (True, False))
    assert paired.value == apart.value and paired.recipes and apart.recipes
    assert apart.high - apart.low > 2 * (paired.high - paired.low)
    assert paired.p < 0.05 < apart.p


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("many", [1, 2, 3, 5])
def test_turned_round_everything_is_mirrored(many: int, paired: bool) -> None:
    first, second, *_ = runs(many, many)
    there, back = difference(first, second, paired), difference(second, first, paired)
    mirrored = (-there.value, -there.high, -there.low, there.p, 1 - there.probability, there.recipes)
    assert back[:6] == pytest.approx(mirrored, abs=1e-12)
    assert all(math.isfinite(number) for number in (*there[:5], *back[:5]))
    assert there.low < there.value < there.high and not there.why


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("many", [1, 2, 3])
def test_identical_predictions_do_not_differ(many: int, paired: bool) -> None:
    first, *_ = runs(many, 1)
    ours = difference(first, first, paired)
    assert (ours.value, ours.p, ours.probability) == pytest.approx((0, 1, 0.5), abs=1e-12)
    assert ours.recipes == (many > 2)
    assert ours.low <= 0 <= ours.high
    if paired:
        assert (ours.low, ours.high) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("many", [1, 4])
def test_one_better_by_as_much_for_every_patient_and_seed_is_better_for_sure(many: int) -> None:
    first = with_spread([0.75] * many)
    second = [Estimate(0.625, one.spread, one.patients) for one in first]
    assert difference(first, second, paired=True)[:5] == pytest.approx((0.125, 0.125, 0.125, 0, 1), abs=1e-6)
    assert difference(second, first, paired=True)[:5] == pytest.approx((-0.125, -0.125, -0.125, 0, 0), abs=1e-6)


@pytest.mark.parametrize("many", [1, 2, 4])
def test_the_probability_of_the_better_one_is_what_half_of_p_leaves(many: int) -> None:
    worse, better, *_ = runs(many, many)
    up, down = difference(better, worse, paired=True), difference(worse, better, paired=True)
    assert up.value > 0 and up.probability == pytest.approx(1 - up.p / 2, abs=1e-12)
    assert down.value < 0 and down.probability == pytest.approx(down.p / 2, abs=1e-12)


def test_the_interval_holds_zero_where_p_says_so() -> None:
    first, second, *_ = runs(4, 4)
    p = difference(first, second, paired=True).p
    assert 1e-6 < p < 0.999
    touching = difference(first, second, paired=True, confidence=1 - p)
    assert min(abs(touching.low), abs(touching.high)) == pytest.approx(0, abs=1e-9)


def test_too_few_patients_and_what_is_undefined_leave_the_value_alone() -> None:
    enough, few = with_spread([0.75] * 3), with_spread([0.5] * 3, patients=9)
    for first, second, value in ((enough, few, 0.25), (few, enough, -0.25)):
        found = difference(first, second, paired=True)
        assert (found.value, found.recipes, found.why) == (value, False, "too few patients (9)")
        assert all(math.isnan(number) for number in found[1:5])
    nothing = difference(enough, with_spread([math.nan] * 3), paired=True)
    assert nothing.why == "undefined" and all(math.isnan(number) for number in nothing[:5])


def test_order_of_seeds_does_not_matter() -> None:
    first, second, *_ = runs(3, 4)
    assert difference(first[::-1], second, False) == pytest.approx(difference(first, second, False), abs=1e-12)
    again = difference(first[::-1], second[2::-1], True)
    assert again == pytest.approx(difference(first, second[:3], True), abs=1e-12)
    assert isinstance(again, Difference)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    with mock.patch("gc.collect"):  # which it calls every time
        theirs = multipletests(p, method="holm")[1]
    assert holm(p) == pytest.approx(theirs.tolist(), abs=1e-12)


def test_what_has_no_p_takes_no_part() -> None:
    assert holm([0.01, math.nan, 0.04, 0.03]) == pytest.approx([0.03, math.nan, 0.06, 0.06], nan_ok=True)
    assert holm([]) == [] and holm([0.5]) == [0.5]
