import numpy as np
import pytest
import torch

from transfusion_cli.metrics.clusters import cluster_codes


def test_patients_may_be_arrays_of_any_kind_but_as_many_as_samples() -> None:
    for patients in (["b", "a", "b"], np.array(["b", "a", "b"], dtype=object), torch.tensor([7, 3, 7])):
        assert cluster_codes(patients, 3).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="3 patients for 4 samples"):
        cluster_codes(["b", "a", "b"], 4)


def test_where_no_patients_are_known_each_sample_is_one() -> None:
    assert cluster_codes(None, 3).tolist() == [0, 1, 2]
