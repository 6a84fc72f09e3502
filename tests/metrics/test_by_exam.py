import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.by_exam import mean_over_exams


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 3))
def test_means_are_those_of_a_loop(exams, seed):
    rng = np.random.default_rng(seed)
    exams = np.array([f"e{e}" for e in exams])
    probabilities = torch.tensor(rng.random((len(exams), 2)), dtype=torch.float32)
    label = {name: float(rng.random() < 0.5) for name in set(exams)}
    targets = torch.tensor([[label[name], np.nan] for name in exams])
    means, kept, first = mean_over_exams(exams, probabilities, targets)
    for i, name in enumerate(sorted(set(exams))):
        inside = torch.as_tensor(exams == name)
        torch.testing.assert_close(means[i], probabilities[inside].mean(dim=0))
        assert kept[i, 0] == label[name] and kept[i, 1].isnan()
        assert exams[first[i]] == name


def test_images_of_an_exam_must_agree():
    with pytest.raises(UserError, match="'b' have different labels"):
        mean_over_exams(["a", "b", "b"], torch.zeros(3, 4), torch.tensor([1, 2, 3]))
