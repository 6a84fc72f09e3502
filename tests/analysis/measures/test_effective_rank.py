import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transfusion_cli.analysis.measures.effective_rank import effective_rank


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_effective_rank_is_between_one_and_the_rank(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    assert 1 - 1e-9 <= effective_rank(matrix) <= min(rows, columns) + 1e-9
    assert effective_rank(3 * matrix) == pytest.approx(effective_rank(matrix))


def test_effective_rank_known_values():
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(5, 9)) == pytest.approx(1, abs=1e-6)
    assert effective_rank(torch.zeros(4, 4)) == 0
    # Singular values 3 and 1: the entropy of (3/4, 1/4).
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(math.exp(entropy))
