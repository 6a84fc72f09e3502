"""Intervals over patients."""

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from support.scored import sampled

from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.scores.halves import halves, standings
from transfusion_cli.transferability.scores.labels import View

ALL = scores()


def test_halves_of_patients_without_repeats_and_the_same_each_time():
    sample = sampled(60)
    drawn = halves(sample.labels, sample.groups, count=12)
    assert len(drawn) == 12 and len({tuple(rows.tolist()) for rows in drawn}) == 12
    for rows in drawn:
        inside = set(sample.groups[rows].tolist())
        assert len(inside) == 15 and all(a < b for a, b in pairwise(rows.tolist()))
        assert rows.tolist() == [at for at, patient in enumerate(sample.groups.tolist()) if patient in inside]
        assert torch.bincount(sample.labels[rows]).tolist() == [10, 10, 10]
    assert all(map(torch.equal, drawn, halves(sample.labels, sample.groups, count=12)))
    assert not torch.equal(drawn[0], halves(sample.labels, sample.groups, seed=1)[0])


def test_rare_classes_stay():
    labels = torch.zeros(42, dtype=torch.int64)
    labels[[3, 30]], labels[[0, 10, 20]] = 1, 2
    sizes = [torch.bincount(labels[rows]).tolist() for rows in halves(labels, count=30)]
    assert {sum(size) for size in sizes} == {21} and {size[1] for size in sizes} == {1}
    assert {size[2] for size in sizes} == {1, 2}


def test_several_labels_and_unknown_ones():
    targets = torch.tensor([[0.0, 1.0], [1.0, math.nan]]).repeat(20, 1)
    for rows in halves(targets, count=5):
        assert len(rows) == 20 and int((targets[rows, 0] == 1).sum()) == 10


def test_the_spread_over_halves_is_that_over_samples():
    """Of a mean it is known: the standard error."""
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = halves(torch.zeros(400, dtype=torch.int64), count=400)
    parts = [[(float(values[rows].mean()),)] for rows in drawn]
    standing = standings(ALL["logme"], [(float(values.mean()),)], parts)[0]
    reach = stats.t.ppf(0.975, 399) * float(values.std()) / 20
    assert standing.high - standing.value == pytest.approx(reach, rel=0.15)
    assert standing.value - standing.low == pytest.approx(standing.high - standing.value)


def test_candidates_on_the_same_halves(monkeypatch):
    whole = [(1.0,), (3.0,), (2.0,)]
    parts = [[(1.0,), (3.5,), (2.5,)], [(0.0,), (2.0,), (2.0,)], [(2.0,), (4.0,), (4.5,)]]
    one, two, three = standings(ALL["logme"], whole, parts)
    factor = stats.t.ppf(0.975, 2)
    assert (one.value, two.value, three.value) == (1, 3, 2) and one.high == pytest.approx(1 + factor)
    assert (one.first, two.first, three.first) == pytest.approx((0, 0.5, 0.5))
    assert (one.behind, two.behind, three.behind) == (2, 0, 1)
    assert (two.behind_low, two.behind_high) == (0, 0)
    assert one.behind_high - one.behind == pytest.approx(factor * stats.tstd([2.5, 2, 2]))
    assert three.behind_low == pytest.approx(1 - factor * stats.tstd([1, 0, -0.5]))
    monkeypatch.setattr(type(ALL["logme"]), "higher_is_better", False)
    upside_down = standings(ALL["logme"], whole, parts)
    assert [row.behind for row in upside_down] == [0, 2, 1] and [row.first for row in upside_down] == [1, 0, 0]


@pytest.mark.parametrize("parts", [[], [[(1.0,), (2.0,)]]])
def test_too_few_halves_give_no_interval(parts):
    low, high = standings(ALL["logme"], [(1.0,), (2.0,)], parts)
    assert math.isnan(low.low) and math.isnan(high.behind_high) and low.behind == 1


def test_a_score_of_a_set_is_scaled_anew_in_each_half():
    score, views = ALL["ncti"], []
    for seed in range(3):
        sample = sampled(60, seed=seed)
        views.append(View("multiclass", ["a", "b", "c"], sample.labels, sample.features, groups=sample.groups))
    drawn = halves(views[0].targets, views[0].groups, count=4)
    parts = [[one.take(rows).terms(score) for one in views] for rows in drawn]
    found = standings(score, [one.terms(score) for one in views], parts)
    combined = torch.tensor([score.combine(part) for part in parts], dtype=torch.float64)
    factor = stats.t.ppf(0.975, 3)
    for row, deviation in zip(found, combined.std(dim=0).tolist(), strict=True):
        assert row.high - row.value == pytest.approx(factor * deviation)
