"""Statistics of one target against plain loops."""

from itertools import combinations

import numpy as np
import pytest

from transfusion_cli.transferability.evidence.statistic import pearson, regret, tau, weighted_tau

RNG = np.random.default_rng(0)


def plain_weighted_tau(scores, outcomes):
    """Vigna's definition, a pair at a time: the mean over the two rankings that say how much a pair weighs."""
    order = range(len(scores))
    taus = []
    for first, second in ((scores, outcomes), (outcomes, scores)):
        ranked = sorted(order, key=lambda i: (first[i], second[i]), reverse=True)
        weight = {i: 1 / (1 + rank) for rank, i in enumerate(ranked)}
        signs = [
            (weight[i] + weight[j], np.sign(scores[i] - scores[j]), np.sign(outcomes[i] - outcomes[j]))
            for i, j in combinations(order, 2)
        ]
        both = sum(w * a * b for w, a, b in signs)
        taus.append(both / np.sqrt(sum(w * a * a for w, a, _ in signs) * sum(w * b * b for w, _, b in signs)))
    return np.mean(taus)


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_tau_is_as_defined(ties):
    for _ in range(20):
        scores, outcomes = RNG.random(8), RNG.random(8)
        if ties:
            scores = np.minimum(scores, 0.5)
        assert weighted_tau(scores, outcomes) == pytest.approx(plain_weighted_tau(scores, outcomes), abs=1e-12)
        assert weighted_tau(scores, outcomes) == pytest.approx(weighted_tau(outcomes, scores), abs=1e-12)
        order = RNG.permutation(8)
        assert weighted_tau(scores, outcomes) == pytest.approx(weighted_tau(scores[order], outcomes[order]), abs=1e-12)


def test_the_top_weighs_most():
    outcomes = np.arange(6.0)
    top, bottom = outcomes[[0, 1, 2, 3, 5, 4]], outcomes[[1, 0, 2, 3, 4, 5]]
    assert weighted_tau(top, outcomes) < weighted_tau(bottom, outcomes) < 1
    assert tau(top, outcomes) == tau(bottom, outcomes) == pytest.approx(1 - 2 / 15)


def test_pearson():
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])) == pytest.approx(1)
    assert pearson(np.array([1e300, 2e300, 3e300]), np.array([2.0, 4.0, 6.0])) == pytest.approx(1)
    assert pearson(np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 2.0])) == pytest.approx(-1 / np.sqrt(28 / 3))


def test_regret_is_what_the_pick_loses():
    outcomes = np.array([0.9, 0.8, 0.6])
    assert regret(np.array([3.0, 1.0, 2.0]), outcomes) == 0
    assert regret(np.array([1.0, 2.0, 3.0]), outcomes) == pytest.approx(0.3)


def test_several_with_the_highest_score_are_picked_with_equal_chance():
    assert regret(np.array([1.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.6])) == pytest.approx(0.05)
