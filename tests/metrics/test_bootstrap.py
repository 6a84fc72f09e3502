from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from support.predicted import intervals_of, metrics_of, predicted, weighted

from transfusion_cli.metrics.bootstrap import cluster_codes
from transfusion_cli.metrics.probabilities import decisions
from transfusion_cli.metrics.weighted_ranking import WeightedRanking
from transfusion_cli.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_of_one_give_the_plain_metrics(target, seed: int) -> None:
    data = predicted(target, seed=seed)
    plain = metrics_of(*data.arguments)
    clusters = cluster_codes(data.patients, len(data.targets))
    by_patient = weighted(*data.arguments, clusters=clusters)(torch.ones(int(clusters.max()) + 1, 1))
    assert list(by_patient) == list(plain)
    assert {name: value.item() for name, value in by_patient.items()} == pytest.approx(plain, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weighted_ranking_equals_sklearn_on_repeated_samples(data: st.DataObject) -> None:
    samples = data.draw(st.integers(2, 25))
    clusters = data.draw(st.lists(st.integers(0, 7), min_size=samples, max_size=samples))
    weights = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
    # Few distinct scores, so that ties within and between the classes are the rule.
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=samples, max_size=samples))
    truth = data.draw(st.lists(st.booleans(), min_size=samples, max_size=samples))
    ranking = WeightedRanking(torch.tensor(scores), torch.tensor(truth), torch.tensor(clusters), 8)
    auroc, precision = (value.item() for value in ranking(torch.tensor(weights).float()[:, None]))
    rows = [row for row in range(samples) for _ in range(weights[clusters[row]])]
    repeated = np.array(truth)[rows]
    if len(set(repeated.tolist())) < 2:
        assert math.isnan(auroc) and math.isnan(precision)
    else:
        assert auroc == pytest.approx(sk.roc_auc_score(repeated, np.array(scores)[rows]), abs=1e-12)
        assert precision == pytest.approx(sk.average_precision_score(repeated, np.array(scores)[rows]), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(target=st.sampled_from(TARGETS), seed=st.integers(0, 10_000), samples=st.integers(2, 30))
def test_weights_equal_repetition_for_every_metric(target, seed: int, samples: int) -> None:
    data = predicted(target, samples=samples, seed=seed)
    clusters = cluster_codes(data.patients, samples)
    weights = torch.randint(0, 4, (int(clusters.max()) + 1, 3), generator=torch.Generator().manual_seed(seed))
    metrics = weighted(*data.arguments, clusters=clusters)(weights.float())
    for resample in range(weights.shape[1]):
        rows = torch.arange(samples).repeat_interleave(weights[clusters, resample])
        repeated = metrics_of(target, data.class_names, data.probabilities[rows], data.targets[rows])
        ours = {name: values[resample].item() for name, values in metrics.items()}
        assert ours == pytest.approx(repeated, abs=2e-6, nan_ok=True)


@pytest.mark.parametrize("target", ["ordinal", "binary"])
def test_kappa_equals_sklearn_under_weights(target) -> None:
    data = predicted(target, unknown=0)
    weights = torch.randint(0, 4, (len(data.targets), 1)).float()
    kappa = weighted(*data.arguments, clusters=torch.arange(len(data.targets)))(weights)["kappa"].item()
    scheme = "quadratic" if target == "ordinal" else None
    chosen = decisions(target, data.probabilities).flatten().int()
    truth = data.targets.flatten().int()
    expected = sk.cohen_kappa_score(truth, chosen, weights=scheme, sample_weight=weights[:, 0])
    assert kappa == pytest.approx(expected, abs=1e-9)


def test_interval_equals_a_plain_loop_over_resamples() -> None:
    """The same distribution by another road: resample patients one by one, copy their rows, ask scikit-learn."""
    data = predicted("binary", samples=300, unknown=0)
    low, high, undefined = intervals_of(*data, resamples=4000)["auroc"]
    rng = np.random.default_rng(1)
    rows_of = [np.flatnonzero(np.array(data.patients) == patient) for patient in sorted(set(data.patients))]
    truth, scores = data.targets.numpy()[:, 0], data.probabilities.numpy()[:, 0]
    areas = []
    for _ in range(800):
        rows = np.concatenate([rows_of[patient] for patient in rng.integers(len(rows_of), size=len(rows_of))])
        areas.append(sk.roc_auc_score(truth[rows], scores[rows]))
    assert undefined == 0
    assert [low, high] == pytest.approx(np.quantile(areas, [0.025, 0.975]).tolist(), abs=0.012)


def test_patients_of_many_equal_samples_widen_the_interval() -> None:
    data = predicted("binary", samples=60, unknown=0)
    copied = [data.probabilities.repeat(20, 1), data.targets.repeat(20, 1)]
    patients = list(range(60)) * 20
    once = intervals_of(*data.arguments)["auroc"]
    by_patient = intervals_of("binary", data.class_names, *copied, patients)["auroc"]
    by_sample = intervals_of("binary", data.class_names, *copied)["auroc"]
    assert by_patient == pytest.approx(once)
    assert by_sample.high - by_sample.low < 0.4 * (once.high - once.low)


@pytest.mark.parametrize("target", TARGETS)
def test_intervals_have_the_metrics_names_and_surround_them(target) -> None:
    data = predicted(target)
    plain = metrics_of(*data)
    intervals = intervals_of(*data, resamples=300)
    assert list(intervals) == list(plain)
    for name, (low, high, undefined) in intervals.items():
        assert low < plain[name] < high and undefined == 0


def test_equal_seeds_give_equal_intervals_and_confidence_widens() -> None:
    data = predicted("binary")
    first = intervals_of(*data, resamples=200, seed=3)
    assert first == intervals_of(*data, resamples=200, seed=3)
    assert first != intervals_of(*data, resamples=200, seed=4)
    narrow = intervals_of(*data, resamples=200, seed=3, confidence=0.5)["auroc"]
    assert first["auroc"].low < narrow.low < narrow.high < first["auroc"].high


def test_resamples_that_leave_a_metric_undefined_are_counted() -> None:
    targets = torch.tensor([[1.0, 0.0]] + [[0.0, 0.0]] * 9)
    scores = torch.linspace(1, 0, 10)[:, None].expand(-1, 2)
    intervals = intervals_of("multilabel", ["one positive", "none"], scores, targets, resamples=2000)
    # A sample is missing from a resample of ten with probability 0.9 ** 10 = 0.35.
    assert 600 < intervals["auroc/one positive"].undefined_resamples < 800
    assert intervals["auroc/one positive"][:2] == (1, 1)
    assert intervals["auroc/none"].undefined_resamples == 2000
    assert math.isnan(intervals["auroc/none"].low) and math.isnan(intervals["auroc/none"].high)


def test_one_patient_has_no_interval(caplog: pytest.LogCaptureFixture) -> None:
    data = predicted("binary", samples=20)
    with caplog.at_level(logging.WARNING):
        intervals = intervals_of(*data.arguments, ["only"] * 20, resamples=50)
    assert list(intervals) == list(metrics_of(*data.arguments, ["only"] * 20))
    assert all(math.isnan(low) and math.isnan(high) and n == 50 for low, high, n in intervals.values())
    assert "at least two patients, and there is 1" in caplog.text


def test_patients_may_be_arrays_of_any_kind_but_as_many_as_samples() -> None:
    for patients in (["b", "a", "b"], np.array(["b", "a", "b"], dtype=object), torch.tensor([7, 3, 7])):
        assert cluster_codes(patients, 3).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="3 patients for 4 samples"):
        cluster_codes(["b", "a", "b"], 4)


def test_chunks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = predicted("multiclass", samples=100)
    whole = intervals_of(*data, resamples=50)
    monkeypatch.setattr("transfusion_cli.metrics.bootstrap.CHUNK", 700)  # seven resamples at a time
    for name, interval in intervals_of(*data, resamples=50).items():
        assert interval == pytest.approx(whole[name], abs=1e-12)
