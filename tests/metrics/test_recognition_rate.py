import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.metrics.recognition_rate import patient_scores, recognition_rate, recognition_with_interval

ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=40)


def test_every_patient_counts_the_same():
    correct = torch.tensor([True, True, True, False, False])
    patients = ["p", "p", "p", "p", "q"]
    assert patient_scores(correct, patients).tolist() == [0.75, 0.0]
    assert recognition_rate(correct, patients) == 0.375  # where accuracy is 0.6


def test_scores_come_in_order_of_appearance_from_numpy_too():
    scores = patient_scores(np.array([False, True, True]), np.array(["z", "a", "a"]))
    assert scores.tolist() == [0.0, 1.0] and scores.dtype == torch.float64


@given(ANSWERS)
def test_mean_over_patients_of_their_means(answers):
    correct, patients = zip(*answers, strict=True)
    means = [np.mean([right for right, other in answers if other == patient]) for patient in set(patients)]
    assert recognition_rate(np.array(correct), patients) == pytest.approx(np.mean(means))


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_is_the_accuracy_where_each_patient_has_one_image(correct):
    assert recognition_rate(np.array(correct), range(len(correct))) == pytest.approx(np.mean(correct))


@given(ANSWERS, st.integers(2, 4))
def test_more_of_the_same_images_change_nothing(answers, times):
    correct, patients = zip(*answers, strict=True)
    repeated = np.array(correct * times)
    assert recognition_rate(repeated, patients * times) == pytest.approx(recognition_rate(np.array(correct), patients))


def test_no_images_and_numbers_that_differ():
    assert math.isnan(recognition_rate(torch.zeros(0, dtype=torch.bool), []))
    with pytest.raises(ValueError, match="2 patients for 3 samples"):
        recognition_rate(torch.ones(3, dtype=torch.bool), ["p", "q"])


def test_interval_is_that_of_the_mean_over_drawn_patients():
    rng = np.random.default_rng(0)
    patients = [f"p{i}" for i in range(200) for _ in range(3)]
    probabilities = torch.tensor(rng.random((600, 1)), dtype=torch.float32)
    targets = (torch.tensor(rng.random((600, 1))) < 0.5).float()
    targets[::7] = torch.nan
    rate, (low, high, undefined) = recognition_with_interval("binary", ["no", "yes"], probabilities, targets, patients)
    known = ~targets[:, 0].isnan().numpy()
    right = ((probabilities[:, 0] >= 0.5) == (targets[:, 0] == 1)).numpy()
    scores = np.array([right[i : i + 3][known[i : i + 3]].mean() for i in range(0, 600, 3)])
    assert rate == pytest.approx(scores.mean()) and undefined == 0
    error = 1.96 * scores.std() / 200**0.5
    assert low == pytest.approx(rate - error, abs=0.006) and high == pytest.approx(rate + error, abs=0.006)


def test_one_patient_has_no_interval_and_classes_are_decided_by_the_highest_probability():
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    rate, interval = recognition_with_interval(
        "multiclass", list("abc"), probabilities, torch.tensor([0, 1]), ["p", "p"]
    )
    assert rate == 0.5 and math.isnan(interval.low)
