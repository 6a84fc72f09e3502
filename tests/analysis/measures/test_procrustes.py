import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.activations import moments_of, related

from transfusion_cli.analysis.measures.procrustes import procrustes
from transfusion_cli.errors import UserError


@pytest.mark.parametrize(("d1", "d2"), [(6, 6), (9, 4), (4, 9)])
def test_distance_after_the_best_rotation(d1, d2):
    """The definition: rotate one representation onto the other, filled up with zeros, and measure what is left."""
    x, y = related(80, d1, d2, 3)
    width = max(d1, d2)
    a, b = (np.pad((z - z.mean(0)).numpy(), ((0, 0), (0, width - z.shape[1]))) for z in (x, y))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    u, _, vt = np.linalg.svd(a.T @ b)
    similarity = procrustes(moments_of(x, y, batch=9)).value
    assert 2 - 2 * similarity == pytest.approx(np.linalg.norm(a @ (u @ vt) - b) ** 2, abs=1e-10)
    assert similarity == pytest.approx(np.sum(a @ (u @ vt) * b), abs=1e-10)


@pytest.mark.parametrize(("n", "d1", "d2"), [(200, 10, 10), (60, 40, 20), (300, 1, 30)])
def test_chance_by_permutation(n, d1, d2):
    x, y = related(n, d1, d2, 3)
    generator = torch.Generator().manual_seed(0)
    permuted = [procrustes(moments_of(x, y[torch.randperm(n, generator=generator)])).value for _ in range(60)]
    assert procrustes(moments_of(x, y)).chance == pytest.approx(sum(permuted) / 60, rel=0.06)


@pytest.mark.parametrize(
    ("d1", "d2", "n", "draws"),
    [
        (5, 5, 30, 2000),
        (20, 20, 60, 500),
        (64, 64, 100, 150),
        (64, 64, 640, 50),
        (20, 40, 60, 500),
        (30, 50, 40, 500),  # more neurons than data points
    ],
)
def test_chance_by_rotation(d1, d2, n, draws):
    """Data of these scatter matrices that have nothing to do with each other: one side turned at random about its mean.

    The tolerance is four standard errors of these draws and of the simulation, which makes 200 or more.
    """
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, d, generator=generator, dtype=torch.float64) ** p for d, p in ((d1, 1), (d2, 3)))
    about_the_mean = torch.linalg.qr(
        torch.cat([torch.ones(n, 1), torch.randn(n, n - 1, generator=generator)], 1).double()
    )
    a, b = (about_the_mean[0][:, 1:].T @ z for z in (x, y))
    q, r = torch.linalg.qr(torch.randn(draws, n - 1, n - 1, generator=generator, dtype=torch.float64))
    turned = (q * r.diagonal(dim1=1, dim2=2).sign()[:, None]) @ b
    values = torch.linalg.svdvals(a.T @ turned).sum(dim=1) / (a.norm() * b.norm())
    error = 4 * float(values.std()) * (1 / draws + 1 / 200) ** 0.5
    assert procrustes(moments_of(x, y)).chance == pytest.approx(float(values.mean()), abs=error)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.floats(1e-3, 1e3), st.integers(0, 10_000))
def test_invariant_to_rotation_and_scale_symmetric_and_one_for_itself(d1, d2, scale, seed):
    x, y = related(60, d1, d2, 2, seed)
    rotation = torch.linalg.qr(torch.randn(d1, d1, generator=torch.Generator().manual_seed(seed), dtype=x.dtype))[0]
    value = procrustes(moments_of(x, y)).value
    assert 0 <= value <= 1
    assert procrustes(moments_of(scale * x @ rotation - 2, y)).value == pytest.approx(value, abs=1e-9)
    assert procrustes(moments_of(y, x)).value == pytest.approx(value, abs=1e-12)
    assert procrustes(moments_of(x, x)).value == pytest.approx(1, abs=1e-12)


def test_constant_is_reported():
    x, y = related(20, 4, 3, 2)
    with pytest.raises(UserError, match="constant"):
        procrustes(moments_of(x, torch.zeros_like(y)))
