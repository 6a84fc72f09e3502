import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfusion_cli.metrics.time_to_event import direction, horizon, restricted_mean

STEPS = st.lists(st.integers(1, 500), min_size=2, max_size=8)
RUNS = st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=2, max_size=8)


def test_by_hand_with_a_run_censored_early():
    # Four runs: there at 2, lost sight of at 3, there at 4, still on its way at 6.
    # Curve: 1 up to 2, 3/4 up to 4 (two runs left there), 3/8 up to 6.
    # Area: 2 + 2 * 3/4 + 2 * 3/8 = 4.25. Beyond 2: 2.25, beyond 4: 0.75.
    # Greenwood: 2.25^2 * 1 / (4 * 3) + 0.75^2 * 1 / (2 * 1) = 0.421875 + 0.28125 = 0.703125; times 4 / 3 = 0.9375.
    got = restricted_mean([2, 3, 4, 6], [True, False, True, False])
    assert got.mean == pytest.approx(4.25)
    assert (got.runs, got.reached, got.budget) == (4, 2, 6)
    margin = 3.182446305 * math.sqrt(0.9375)
    assert got.low == pytest.approx(4.25 - margin) and got.high == 6  # 7.33, beyond the budget


def test_a_budget_restricts_what_was_reached_later():
    got = restricted_mean([10, 20, 90], [True, True, True], budget=30)
    assert (got.mean, got.reached, got.budget) == (20, 2, 30)


@given(STEPS)
def test_without_censoring_it_is_the_mean_with_students_interval(steps):
    got = restricted_mean(steps, [True] * len(steps))
    assert got.mean == pytest.approx(np.mean(steps)) and got.budget == math.inf
    error = np.std(steps, ddof=1) / math.sqrt(len(steps))
    low, high = stats.t.interval(0.95, len(steps) - 1, loc=np.mean(steps), scale=error) if error else got[1:3]
    assert got.low == pytest.approx(max(0, low), abs=1e-6) and got.high == pytest.approx(high, abs=1e-6)


@given(STEPS, st.integers(1, 500))
def test_on_a_common_budget_it_is_the_mean_of_what_was_seen(steps, budget):
    reached = [step <= budget for step in steps]
    got = restricted_mean([min(step, budget) for step in steps], reached, budget=budget if not all(reached) else None)
    assert got.mean == pytest.approx(np.mean(np.minimum(steps, budget)))
    assert got.reached == sum(reached)


@given(RUNS, st.randoms())
def test_order_does_not_matter_and_the_mean_lies_between_the_first_event_and_the_budget(runs, random):
    got = restricted_mean(*zip(*runs, strict=True))
    random.shuffle(runs)
    assert restricted_mean(*zip(*runs, strict=True)) == pytest.approx(got, nan_ok=True)
    steps, reached = (np.array(column) for column in zip(*runs, strict=True))
    first = min(steps[reached], default=got.budget)
    assert min(first, steps.max()) - 1e-9 <= got.mean <= steps.max() + 1e-9
    assert math.isnan(got.low) or 0 <= got.low <= got.mean + 1e-9 <= got.high + 2e-9


@given(RUNS)
def test_arriving_instead_of_being_lost_can_only_shorten_the_mean(runs):
    steps, reached = zip(*runs, strict=True)
    budget = min(horizon(steps, reached), max(steps))
    everyone = restricted_mean(steps, [True] * len(steps), budget)
    assert everyone.mean <= restricted_mean(steps, reached, budget).mean + 1e-9


@given(RUNS, st.floats(0.1, 10))
def test_steps_in_another_unit_give_the_mean_in_that_unit(runs, unit):
    steps, reached = zip(*runs, strict=True)
    got, other = restricted_mean(steps, reached), restricted_mean([unit * step for step in steps], reached)
    assert other[:3] == pytest.approx([unit * value for value in got[:3]], nan_ok=True)


def test_nobody_there_or_one_run_alone_gives_no_interval():
    nobody = restricted_mean([50, 50, 50], [False] * 3)
    assert (nobody.mean, nobody.reached) == (50, 0) and math.isnan(nobody.low) and math.isnan(nobody.high)
    alone = restricted_mean([7], [True])
    assert alone.mean == 7 and math.isnan(alone.low)


def test_the_horizon_is_the_last_step_watched_unless_all_are_there_by_then():
    assert horizon([5, 9], [True, False]) == 9
    assert horizon([5, 9], [False, True]) == math.inf
    assert horizon([9, 9], [False, True]) == 9  # one of them arrived, the other was last seen on its way


def test_a_budget_beyond_what_was_watched_is_refused():
    with pytest.raises(ValueError, match="step 9, not up to the budget 10"):
        restricted_mean([5, 9], [True, False], budget=10)
    with pytest.raises(ValueError, match="no runs"):
        restricted_mean([], [])


def test_losses_fall_and_the_rest_rises():
    assert [direction(name) for name in ("val/loss", "val/auroc", "val/auroc/loss")] == ["min", "max", "max"]
