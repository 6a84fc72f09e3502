"""What metrics owe to patients, against numerical derivatives and against the formulas of the papers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.obuchowski import areas, by_definition, mixed_patients
from support.predicted import predicted, weighted

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.estimate import Estimate, covariance, factor
from transfusion_cli.targets import TARGETS


def evaluation(data, patients: bool = True) -> ClassificationEvaluation:
    return ClassificationEvaluation.of(*(data if patients else data.arguments))


def influence(of: ClassificationEvaluation, name: str) -> torch.Tensor:
    """Of each patient on a metric, from its estimate."""
    seen = torch.stack(list(of.sides(name).values())).any(dim=0)
    return of.estimates[name].spread[2:].sum(dim=0) / math.sqrt(factor(len(of.clusters[seen].unique())))


def slopes(of: ClassificationEvaluation, step: float = 1e-4) -> dict[str, list[float]]:
    """Numerical derivatives of all metrics by the weight of each patient."""
    found: dict[str, list[float]] = {}
    for patient in range(int(of.clusters.max()) + 1):
        change = step * (of.clusters == patient).double()
        up, down = (weighted(of, 1 + sign * change) for sign in (1, -1))
        for name in up:
            found.setdefault(name, []).append((up[name] - down[name]) / (2 * step))
    return found


@pytest.mark.parametrize("patients", [True, False], ids=["patients", "images"])
@pytest.mark.parametrize("target", TARGETS)
def test_influence_is_the_derivative_by_weights_and_sums_to_zero(target, patients: bool) -> None:
    data = predicted(target, samples=60, classes=3)
    of = evaluation(data, patients)
    expected = slopes(of)
    assert set(expected) == set(of.statistic(torch.ones(60, dtype=torch.float64)))
    for name, slope in expected.items():
        ours = influence(of, name)
        assert ours.tolist() == pytest.approx(slope, abs=1e-7), name
        assert ours.sum().item() == pytest.approx(0, abs=1e-12), name
        assert (ours.abs().max() > 1e-4) == (of.estimates[name].value < 1), name


def test_a_label_without_positives_leaves_the_influence_on_others_as_it_is() -> None:
    data = predicted("multilabel", samples=60, classes=3)
    before = evaluation(data)
    data.targets[:, 1] = 0
    after = evaluation(data)
    assert math.isnan(after.estimates["auroc/class 1"].value)
    for name, estimate in after.estimates.items():
        assert estimate.spread.isfinite().all(), name
        if name.endswith(("class 0", "class 2")):
            torch.testing.assert_close(estimate.spread, before.estimates[name].spread, rtol=0, atol=1e-15)
    assert after.estimates["auroc"].value == pytest.approx(
        (before.estimates["auroc/class 0"].value + before.estimates["auroc/class 2"].value) / 2, abs=1e-12
    )


@pytest.mark.parametrize("target", TARGETS)
def test_weights_of_one_give_the_plain_metrics(target) -> None:
    of = evaluation(predicted(target))
    values = {name: estimate.value for name, estimate in of.estimates.items()}
    assert of.metrics == pytest.approx({name: values[name] for name in of.metrics}, abs=1e-12)


def test_delong_is_mlstatkits() -> None:
    """Golden: MLstatkit 0.1.91, Delong_test(truth, first, second, alpha=0.95); variances from its intervals' widths."""
    i = np.arange(120)
    truth = i * i * 7 % 11 < 4
    models = [(37 * i % 29 + 9 * truth) / 40, (53 * i % 31 + 4 * truth) / 40]
    ours = areas(models, truth)
    assert [one.value for one in ours] == pytest.approx([0.4219784047370254, 0.5856844305120167], abs=1e-12)
    assert [one.variance for one in ours] == pytest.approx([0.00287625320594991, 0.003578908692050137], abs=1e-9)
    of_difference = covariance(ours)[0, 0] + covariance(ours)[1, 1] - 2 * covariance(ours)[0, 1]
    assert of_difference.item() == pytest.approx(0.005676190231806575, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clustered", [True, False], ids=["patients", "images"])
def test_areas_and_covariances_are_obuchowskis(clustered: bool, seed: int) -> None:
    models, truth, patients = mixed_patients(models=3, seed=seed)
    if clustered:  # or the test would not be one of S11
        kinds = [set(truth[patients == patient]) for patient in set(patients)]
        assert sum(len(kind) == 2 for kind in kinds) > 5 and {True} in kinds and {False} in kinds
    else:
        patients = np.arange(len(truth))
    ours = areas(models, truth, patients)
    values, expected = by_definition(models, truth, patients)
    assert [one.value for one in ours] == pytest.approx(values.tolist(), rel=1e-12)
    np.testing.assert_allclose(covariance(ours).numpy(), expected, rtol=1e-9)
    for one, own in zip(ours, np.diag(expected), strict=True):
        assert one.variance == pytest.approx(own, rel=1e-9)
        assert one.alone == pytest.approx(own, rel=1e-9) or clustered
        assert list(one.patients) == ["positives", "negatives"]
        assert one.patients["positives"] == len(set(patients[truth]))
        assert one.fewest[0] == min(one.patients.values())


def test_the_area_of_images_alone_is_that_without_patients() -> None:
    models, truth, patients = mixed_patients(models=1)
    _, expected = by_definition(models, truth, np.arange(len(truth)))
    assert areas(models, truth, patients)[0].alone == pytest.approx(expected.item(), rel=1e-9)


def test_a_mean_has_the_variance_of_the_mean() -> None:
    of = evaluation(predicted("multilabel"))
    parts = [of.estimates[f"auroc/class {k}"] for k in range(4)]
    mean = Estimate.mean(parts)
    assert mean.value == pytest.approx(np.mean([part.value for part in parts]), abs=1e-12)
    assert mean.variance == pytest.approx(covariance(parts).mean().item(), rel=1e-12)
    assert mean.patients == {side: min(part.patients[side] for part in parts) for side in ("positives", "negatives")}
    assert mean.variance == pytest.approx(of.estimates["auroc"].variance, rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_covariances_are_symmetric_with_the_variances_inside(target) -> None:
    estimates = list(evaluation(predicted(target)).estimates.values())
    matrix = covariance(estimates)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-15)
    assert matrix.diagonal().tolist() == pytest.approx([one.variance for one in estimates], rel=1e-12)


@pytest.mark.parametrize(
    ("target", "name"), [("binary", "accuracy/class 1"), ("multilabel", "accuracy/class 2"), ("ordinal", "accuracy")]
)
def test_the_variance_of_a_share_is_the_textbooks(target, name: str) -> None:
    """Of shares over clusters: the sum of squares of what each has beyond its due, over the square of the total."""
    data = predicted(target, unknown=0)
    of = evaluation(data)
    right = of.questions.chosen == of.questions.truth
    right = (right[:, 2] if target == "multilabel" else right.all(dim=1)).numpy()
    beyond = [(right - right.mean())[np.array(data.patients) == patient].sum() for patient in set(data.patients)]
    patients = len(beyond)
    expected = patients / (patients - 1) * np.square(beyond).sum() / len(right) ** 2
    assert of.estimates[name].value == pytest.approx(right.mean(), abs=1e-12)
    assert of.estimates[name].variance == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_the_order_of_cases_and_the_names_of_patients_do_not_matter(target) -> None:
    data = predicted(target)
    plain = evaluation(data)
    order = torch.randperm(len(data.targets), generator=torch.Generator().manual_seed(1))
    patients = np.array(data.patients)
    shuffled = replace(plain, patients=patients).take(order)
    renamed = plain.of_patients([renumbered(name) for name in data.patients])
    for other in (shuffled, renamed):
        assert other.metrics == pytest.approx(plain.metrics, abs=1e-12)
        for name, (low, high, *words) in plain.intervals().items():
            assert other.intervals()[name] == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12), *words)
            assert other.estimates[name].variance == pytest.approx(plain.estimates[name].variance, rel=1e-9)


def renumbered(name: str) -> int:
    """Another name of a patient, which sorts otherwise."""
    return -7 * int(name.split()[1])


def test_one_patient_has_no_spread() -> None:
    data = predicted("binary", samples=20)
    of = ClassificationEvaluation.of(*data.arguments, ["only"] * 20)
    for name, estimate in of.estimates.items():
        assert estimate.fewest[0] == 1 and estimate.spread.isfinite().all(), name
        assert estimate.variance == pytest.approx(0, abs=1e-12), name


def test_factors() -> None:
    assert [factor(patients) for patients in (0, 1, 2, 11)] == [1, 1, 2, 1.1]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("target", TARGETS)
def test_influence_is_found_where_lightning_tests_without_derivatives(target, mode) -> None:
    outside = evaluation(predicted(target))
    with mode():
        data = predicted(target)
        inside = evaluation(data._replace(probabilities=data.probabilities + 0, targets=data.targets + 0))
        assert inside.metrics == pytest.approx(outside.metrics, abs=1e-12)
        for name, (low, high, *_) in outside.intervals().items():
            assert inside.intervals()[name][:2] == pytest.approx((low, high), abs=1e-12), name
        assert not inside.statistic(torch.ones(200, dtype=torch.float64))["auroc/class 1"].requires_grad
