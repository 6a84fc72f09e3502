"""The patient recognition rate, and its interval."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.clusters import cluster_codes
from transfusion_cli.metrics.one_vs_rest import one_vs_rest
from transfusion_cli.metrics.recognition_rate import recognition_rate

ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=40)


def rate(correct, patients, weights=None):
    """The rate of decisions that are right or wrong."""
    correct = torch.as_tensor(correct)
    questions = one_vs_rest("binary", ["no", "yes"], correct[:, None].double(), torch.ones(len(correct), 1))
    weights = torch.ones(len(correct)) if weights is None else torch.tensor(weights)
    return recognition_rate(questions, cluster_codes(patients, len(correct)), weights.double()).item()


def test_every_patient_counts_the_same():
    correct = torch.tensor([True, True, True, False, False])
    assert rate(correct, ["p", "p", "p", "p", "q"]) == 0.375  # where accuracy is 0.6


def test_a_patient_counts_as_much_as_the_images_weigh_in_the_mean():
    correct = torch.tensor([True, False, False])
    assert rate(correct, ["p", "q", "q"], [3.0, 1.0, 1.0]) == 0.75
    assert rate(correct, ["p", "q", "q"], [3.0, 2.0, 0.0]) == 0.75  # not which image weighs it
    assert rate(correct, ["p", "q", "q"], [0.0, 2.0, 2.0]) == 0
    assert rate(correct, ["p", "p", "q"], [2.0, 2.0, 2.0]) == rate(correct, ["p", "p", "q"]) == 0.25


@given(ANSWERS)
def test_mean_over_patients_of_their_means(answers):
    correct, patients = zip(*answers, strict=True)
    means = [np.mean([right for right, other in answers if other == patient]) for patient in set(patients)]
    assert rate(np.array(correct), patients) == pytest.approx(np.mean(means))


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_is_the_accuracy_where_each_patient_has_one_image(correct):
    assert rate(np.array(correct), range(len(correct))) == pytest.approx(np.mean(correct))


@given(ANSWERS, st.integers(2, 4))
def test_more_of_the_same_images_change_nothing(answers, times):
    correct, patients = zip(*answers, strict=True)
    repeated = np.array(correct * times)
    assert rate(repeated, patients * times) == pytest.approx(rate(np.array(correct), patients))


def test_no_images():
    assert math.isnan(rate(torch.zeros(0, dtype=torch.bool), []))


def test_interval_is_that_of_the_mean_over_patients():
    rng = np.random.default_rng(0)
    patients = [f"p{i}" for i in range(200) for _ in range(3)]
    probabilities = torch.tensor(rng.random((600, 1)), dtype=torch.float32)
    targets = (torch.tensor(rng.random((600, 1))) < 0.5).float()
    targets[::7] = torch.nan
    evaluation = ClassificationEvaluation.of("binary", ["no", "yes"], probabilities, targets, patients)
    found, (low, high, *_) = evaluation.metrics["recognition_rate"], evaluation.intervals()["recognition_rate"]
    known = ~targets[:, 0].isnan().numpy()
    right = ((probabilities[:, 0] >= 0.5) == (targets[:, 0] == 1)).numpy()
    scores = np.array([right[i : i + 3][known[i : i + 3]].mean() for i in range(0, 600, 3)])
    assert found == pytest.approx(scores.mean())
    variance = scores.var(ddof=1) / 200
    assert evaluation.estimates["recognition_rate"].variance == pytest.approx(variance, rel=1e-9)
    error = 1.97 * variance**0.5
    assert low == pytest.approx(found - error, abs=0.006) and high == pytest.approx(found + error, abs=0.006)


def test_one_patient_has_no_interval_and_classes_are_decided_by_the_highest_probability():
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    evaluation = ClassificationEvaluation.of("multiclass", list("abc"), probabilities, torch.tensor([0, 1]), ["p", "p"])
    assert evaluation.metrics["recognition_rate"] == 0.5
    assert math.isnan(evaluation.intervals()["recognition_rate"].low)


def test_one_image_each_or_several_labels_have_none():
    probabilities, labels = torch.rand(4, 2), torch.ones(4, 2)
    several = ClassificationEvaluation.of("multilabel", ["a", "b"], probabilities, labels, list("ppqq"))
    one = ClassificationEvaluation.of("binary", ["a", "b"], probabilities[:, :1], labels[:, :1], list("pqrs"))
    assert "recognition_rate" not in several.metrics and "recognition_rate" not in one.metrics
