from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.activations import moments_of, related

from transfusion_cli.analysis.measures.cca import cca_coefficients, mean_cca, pwcca, svcca
from transfusion_cli.errors import UserError

GOLDEN = Path(__file__).parents[2] / "golden"


def canonical_variates(x, y):
    """The definition, on stored activations: orthonormal bases of both, and the angles between them."""
    bases = [np.linalg.svd(z - z.mean(axis=0), full_matrices=False) for z in (x, y)]
    qx, qy = (u[:, s > 1e-8 * s[0]] for u, s, _ in bases)
    u, rho, _ = np.linalg.svd(qx.T @ qy, full_matrices=False)
    return qx @ u, rho


def oracle_pwcca(x, y):
    variates, rho = canonical_variates(x, y)
    weights = np.abs(variates.T @ (x - x.mean(axis=0))).sum(axis=1)
    return (weights * rho).sum() / weights.sum()


@pytest.mark.parametrize("name", ["cca_40x30", "cca_64x64"])
def test_golden(name):
    with np.load(GOLDEN / f"{name}.npz") as golden:
        moments = moments_of(*(torch.from_numpy(golden[key].T) for key in ("acts1", "acts2")), batch=100)
        np.testing.assert_allclose(cca_coefficients(moments), golden["cca_coefficients"], atol=1e-6)
        assert mean_cca(moments).value == pytest.approx(float(golden["cca_mean_all"]), abs=1e-6)
        assert svcca(moments, int(golden["svcca_k"])).value == pytest.approx(float(golden["svcca_mean_all"]), abs=1e-6)


@pytest.mark.parametrize(("d1", "d2"), [(8, 8), (11, 5), (5, 11), (1, 6), (1, 1)])
def test_against_stored_activations(d1, d2):
    x, y = related(200, d1, d2, 3)
    moments = moments_of(x, y, batch=17)
    rho = canonical_variates(x.numpy(), y.numpy())[1]
    np.testing.assert_allclose(cca_coefficients(moments), rho, atol=1e-9)
    assert mean_cca(moments).value == pytest.approx(rho.mean(), abs=1e-9)
    assert pwcca(moments).value == pytest.approx(oracle_pwcca(x.numpy(), y.numpy()), abs=1e-9)


def test_pwcca_weights_come_from_the_first_representation():
    x, y = related(300, 6, 9, 2)
    there, back = pwcca(moments_of(x, y)).value, pwcca(moments_of(y, x)).value
    assert there == pytest.approx(oracle_pwcca(x.numpy(), y.numpy()), abs=1e-9)
    assert back == pytest.approx(oracle_pwcca(y.numpy(), x.numpy()), abs=1e-9)
    assert abs(there - back) > 1e-3


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
def test_svcca_keeps_the_fewest_directions_with_the_share_of_variance(share):
    x, y = related(200, 12, 7, 3)
    score = svcca(moments_of(x, y), share)
    kept = []
    for z in (x.numpy(), y.numpy()):
        u, s, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
        held = np.cumsum(s**2) / np.sum(s**2)
        kept.append(u[:, : next(k for k in range(1, len(s) + 1) if held[k - 1] >= share - 1e-12)])
    assert score.value == pytest.approx(np.linalg.svd(kept[0].T @ kept[1], compute_uv=False).mean(), abs=1e-9)


@pytest.mark.parametrize("measure", [mean_cca, svcca, pwcca])
def test_dead_and_duplicate_neurons_change_nothing(measure):
    x, y = related(400, 6, 5, 3)
    # dead at zero and elsewhere, copied, copied in other units, the sum of others, and the rounding of a constant
    constant = torch.full_like(x[:, :1], 1 / 3)
    flicker = constant * (1 + 1e-8 * torch.sin(torch.arange(400.0, dtype=torch.float64))[:, None])
    worse_x = torch.cat([x, 0 * constant, constant, flicker, x[:, :2], -7 * x[:, 2:3], x.sum(1, keepdim=True)], dim=1)
    worse_y = torch.cat([y[:, :1], y], dim=1)
    clean, score = measure(moments_of(x, y)), measure(moments_of(worse_x, worse_y, batch=11))
    assert score.chance == clean.chance  # which is that of as many directions
    assert 0 < score.value < 1
    if measure is mean_cca:  # the others weigh a neuron that is there twice twice
        assert score.value == pytest.approx(clean.value, abs=1e-8)


def test_float32_duplicates_are_found():
    x, y = (z.float() for z in related(400, 6, 5, 3))
    copied = torch.cat([x, x * 3, x @ torch.ones(6, 2)], dim=1)
    score, clean = (mean_cca(moments_of(z, y)) for z in (copied, x))
    assert score.chance == clean.chance and score.value == pytest.approx(clean.value, abs=1e-5)


def test_a_copy_with_noise_below_epsilon_adds_no_direction():
    """A Cholesky factor exists here; that it does not prove full rank must be noticed."""
    x, y = related(400, 6, 5, 3)
    noise = torch.sin(torch.arange(400, dtype=x.dtype) ** 2)[:, None]
    copied = torch.cat([x, x[:, :1] + 1e-6 * x[:, :1].std() * noise], dim=1)
    assert mean_cca(moments_of(copied, y)).chance == mean_cca(moments_of(x, y)).chance


@pytest.mark.parametrize("measure", [mean_cca, svcca, pwcca])
@pytest.mark.parametrize("which", ["first", "second"])
def test_all_dead_is_reported(measure, which):
    x, y = related(100, 4, 4, 2)
    dead = 0.1 * (1 + 1e-8 * torch.sin(x))  # but for rounding, as float32 leaves it
    with pytest.raises(UserError, match=f"No neuron of the {which} representation varies"):
        measure(moments_of(dead, y) if which == "first" else moments_of(x, dead))


@pytest.mark.parametrize("shape", [(20, 5), (5, 20)])
def test_too_few_points_say_how_many_are_needed(shape):
    x, y = related(40, *shape, 2)
    for n in (10, 20):  # fewer points than neurons: rank n - 1
        with pytest.raises(UserError, match=f"directions need {n + 1} or more"):
            mean_cca(moments_of(x[:n], y[:n]))
    with pytest.raises(UserError, match=r"directions need 22 or more[\s\S]*Give 100 images"):
        mean_cca(moments_of(x[:21], y[:21]))
    assert mean_cca(moments_of(x[:22], y[:22])).value < 1
    assert svcca(moments_of(x[:10], y[:10]), keep=3).value < 1  # fewer directions are enough for SVCCA


def test_coefficients_that_are_one_whatever_the_data():
    """d1 + d2 directions in n - 1 dimensions meet in d1 + d2 - n + 1, and the chance level knows."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(50, 40, generator=generator, dtype=torch.float64) for _ in range(2))
    moments = moments_of(x, y)
    assert int((cca_coefficients(moments) > 1 - 1e-9).sum()) == 40 + 40 - 49
    score = mean_cca(moments)
    assert score.value == pytest.approx(score.chance, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 10_000))
def test_invariant_to_invertible_maps_symmetric_and_one_for_itself(d1, d2, seed):
    x, y = related(60, d1, d2, 2, seed)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(d1, d1, generator=generator, dtype=torch.float64))[0]
    mapped = (x @ rotation * torch.logspace(-1, 1, d1, dtype=torch.float64)) @ rotation.T + 5
    moments = moments_of(x, y)
    coefficients = cca_coefficients(moments)
    assert float(coefficients.min()) >= 0 and float(coefficients.max()) <= 1
    torch.testing.assert_close(cca_coefficients(moments_of(mapped, y)), coefficients, rtol=0, atol=1e-7)
    torch.testing.assert_close(cca_coefficients(moments_of(y, x)), coefficients, rtol=0, atol=1e-9)
    for measure in (mean_cca, svcca, pwcca):
        assert measure(moments_of(x, x)).value == pytest.approx(1, abs=1e-9)
    assert mean_cca(moments_of(x, mapped)).value == pytest.approx(1, abs=1e-7)
    assert svcca(moments).value == pytest.approx(svcca(moments_of(y, x)).value, abs=1e-9)
