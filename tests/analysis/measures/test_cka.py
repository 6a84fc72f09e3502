import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.activations import moments_of, related

from transfusion_cli.analysis.measures.cka import biased_cka, cka
from transfusion_cli.errors import UserError


def unbiased_hsic(x, y):
    """Song et al. 2012, equation 5, with the n × n kernels."""
    n = len(x)
    k, l = (z @ z.T - torch.diag((z @ z.T).diagonal()) for z in (x, y))  # noqa: E741
    ones = torch.ones(n, dtype=x.dtype)
    kl = k @ l
    total = kl.trace() + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (ones @ kl @ ones)
    return total / (n * (n - 3))


def direct_cka(x, y):
    return float(unbiased_hsic(x, y) / (unbiased_hsic(x, x) * unbiased_hsic(y, y)).sqrt())


def direct_biased_cka(x, y):
    centre = torch.eye(len(x), dtype=x.dtype) - 1 / len(x)
    k, l = (centre @ z @ z.T @ centre for z in (x, y))  # noqa: E741
    return float((k * l).sum() / (k.norm() * l.norm()))


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(0, 10_000))
def test_streamed_equals_the_kernels_formula(n, d1, d2, batch, seed):
    """Also with fewer data points than neurons, and although the kernels of the formula are not centred."""
    x, y = related(n, d1, d2, 2, seed)
    moments = moments_of(x, y, batch)
    assert cka(moments).value == pytest.approx(direct_cka(x, y), abs=1e-8)
    assert biased_cka(moments).value == pytest.approx(direct_biased_cka(x, y), abs=1e-9)


def test_chance_levels_by_permutation():
    x, y = related(30, 25, 12, 3)
    moments = moments_of(x, y)
    generator = torch.Generator().manual_seed(0)
    permuted = [moments_of(x, y[torch.randperm(30, generator=generator)]) for _ in range(800)]
    unbiased, biased = ([measure(m).value for m in permuted] for measure in (cka, biased_cka))
    spread, count = torch.tensor([unbiased, biased]).std(dim=1), len(permuted)
    assert cka(moments).chance == 0
    assert abs(sum(unbiased) / count) < 4 * float(spread[0]) / count**0.5
    assert abs(sum(biased) / count - biased_cka(moments).chance) < 4 * float(spread[1]) / count**0.5
    assert biased_cka(moments).chance > 0.05


def test_unbiased_does_not_depend_on_the_number_of_points():
    x, y = related(4000, 60, 60, 20)
    parts = [moments_of(a, b) for a, b in zip(x.split(40), y.split(40), strict=True)]
    few = [[measure(part).value for measure in (cka, biased_cka)] for part in parts]
    few_unbiased, few_biased = torch.tensor(few).mean(dim=0).tolist()
    all_points = moments_of(x, y)
    assert abs(few_unbiased - cka(all_points).value) < 0.02
    assert few_biased - biased_cka(all_points).value > 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.floats(1e-3, 1e3), st.integers(0, 10_000))
def test_invariant_to_rotation_and_scale_symmetric_and_one_for_itself(d1, d2, scale, seed):
    x, y = related(60, d1, d2, 2, seed)
    rotation = torch.linalg.qr(torch.randn(d1, d1, generator=torch.Generator().manual_seed(seed), dtype=x.dtype))[0]
    for measure in (cka, biased_cka):
        value = measure(moments_of(x, y)).value
        assert measure(moments_of(scale * x @ rotation - 2, y)).value == pytest.approx(value, abs=1e-9)
        assert measure(moments_of(y, x)).value == pytest.approx(value, abs=1e-12)
        assert measure(moments_of(x, x)).value == pytest.approx(1, abs=1e-12)


def test_undefined_is_said_and_dead_neurons_are_harmless():
    x, y = related(50, 4, 3, 2)
    with pytest.raises(UserError, match="4 or more data points"):
        cka(moments_of(x[:3], y[:3]))
    dead = torch.zeros(50, 2, dtype=x.dtype)
    for measure in (cka, biased_cka):
        with pytest.raises(UserError, match="is constant"):
            measure(moments_of(dead, y))
        assert measure(moments_of(torch.cat([x, dead], dim=1), y)).value == pytest.approx(
            measure(moments_of(x, y)).value
        )
