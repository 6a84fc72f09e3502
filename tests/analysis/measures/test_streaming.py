import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.activations import moments_of, related

from transfusion_cli.analysis.measures import streaming
from transfusion_cli.analysis.measures.streaming import PairMoments
from transfusion_cli.errors import UserError


def check(moments, x, y, rtol=1e-10):
    """Against the definitions, on stored activations."""
    u, v = x - x.mean(dim=0), y - y.mean(dim=0)
    a, b = u.square().sum(dim=1), v.square().sum(dim=1)
    expected = {
        "mean1": x.mean(dim=0),
        "mean2": y.mean(dim=0),
        "xx": u.T @ u,
        "xy": u.T @ v,
        "yy": v.T @ v,
        "norms": torch.stack([torch.stack([a @ a, a @ b]), torch.stack([b @ a, b @ b])]),
        "_thirds": torch.stack([torch.cat([a @ u, a @ v]), torch.cat([b @ u, b @ v])]),
    }
    assert moments.n == len(x)
    for name, value in expected.items():
        torch.testing.assert_close(
            getattr(moments, name), value, rtol=rtol, atol=rtol * max(1.0, float(value.abs().max()))
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_batching_makes_no_difference(sizes, d1, d2, seed):
    n = sum(sizes) + 2
    x, y = related(n, d1, d2, 2, seed)
    moments = PairMoments(d1, d2)
    for x_batch, y_batch in zip(x.split([*sizes, 2]), y.split([*sizes, 2]), strict=True):
        moments.update(x_batch, y_batch)
    check(moments, x, y)


def test_one_huge_batch_is_cut_up(monkeypatch):
    x, y = related(50, 3, 4, 2)
    monkeypatch.setattr(streaming, "ROWS", 7)
    check(moments_of(x, y), x, y)


def test_large_means_cost_no_digits():
    """Summing squares first and subtracting the mean's afterwards leaves no digit of these."""
    x, y = related(500, 4, 3, 2)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    moments = moments_of(x + 1e8, y - 1e8, batch=13)
    torch.testing.assert_close(moments.xx, x.T @ x, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(moments.xy, x.T @ y, rtol=1e-6, atol=1e-5)


def test_float32_is_summed_in_float64_and_left_alone():
    x, y = (z.float() for z in related(300, 4, 3, 2))
    before = x.clone()
    check(moments_of(x, y, batch=1), x.double(), y.double())
    assert torch.equal(x, before)
    x64, y64 = x.double(), y.double()
    moments_of(x64, y64)
    assert torch.equal(x64, x.double())


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_reported(broken):
    x, y = related(20, 4, 3, 2)
    y[7, 1] = broken
    with pytest.raises(UserError, match="infinite or not a number"):
        moments_of(x, y)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected \(n, 4\) and \(n, 3\)"):
        PairMoments(4, 3).update(torch.zeros(5, 4), torch.zeros(6, 3))
