import pytest
import torch

from transfusion_cli.analysis.measures import MEASURES
from transfusion_cli.analysis.measures.cca import mean_cca, pwcca, svcca
from transfusion_cli.analysis.measures.chance import SIMULATED, chance_coefficients
from transfusion_cli.analysis.measures.streaming import PairMoments


@pytest.mark.parametrize(("d", "n", "expected"), [(512, 5_120, 0.271), (512, 20_000, 0.136), (2048, 20_000, 0.275)])
def test_known_means(d, n, expected):
    """Measured on independent Gaussian data."""
    assert float(chance_coefficients(d, d, n).mean()) == pytest.approx(expected, abs=5e-4)


SIZES = [
    (1, 1, 10),
    (2, 5, 50),
    (10, 10, 100),
    (20, 10, 40),
    (20, 15, 26),  # 9 coefficients are 1
    (32, 20, 34),
    (33, 60, 300),
    (60, 60, 100),  # 21 are 1
    (80, 40, 400),
]


@pytest.mark.parametrize(("d1", "d2", "n"), SIZES)
def test_against_independent_data(d1, d2, n):
    """Gaussian data against heavy-tailed data of another covariance: bases of both, and the angles between them."""
    generator = torch.Generator().manual_seed(0)
    draws = 1500 if d1 < 10 else 150
    x = torch.randn(draws, n, d1, generator=generator, dtype=torch.float64)
    y = torch.randn(draws, n, d2, generator=generator, dtype=torch.float64) ** 3
    y = y @ torch.randn(d2, d2, generator=generator, dtype=torch.float64)
    bases = [torch.linalg.qr(z - z.mean(dim=1, keepdim=True))[0] for z in (x, y)]
    rho = torch.linalg.svdvals(bases[0].mT @ bases[1])
    expected = chance_coefficients(d1, d2, n)
    error = 4 * float(rho.mean(dim=1).std()) / draws**0.5 + (0.002 if min(d1, d2) > SIMULATED else 0.001)
    assert float(expected.mean()) == pytest.approx(float(rho.mean()), abs=error)
    torch.testing.assert_close(expected, rho.mean(dim=0), rtol=0, atol=0.03)


@pytest.mark.parametrize(("d1", "d2", "n"), [(8, 20, 200), (50, 90, 300), (90, 90, 150)])
def test_squares_average_to_their_exact_expectation(d1, d2, n):
    squares = chance_coefficients(d1, d2, n).square().sum()
    assert float(squares) == pytest.approx(d1 * d2 / (n - 1), rel=0.01)
    torch.testing.assert_close(chance_coefficients(d1, d2, n), chance_coefficients(d2, d1, n), rtol=0, atol=0)


def test_simulation_and_limiting_law_meet():
    below, above = (float(chance_coefficients(d, d, 10 * d).mean()) for d in (SIMULATED, SIMULATED + 1))
    assert below == pytest.approx(above, abs=0.003)


@pytest.mark.parametrize(("d1", "d2", "n"), [(0, 3, 10), (3, 9, 10), (9, 3, 10)])
def test_undefined(d1, d2, n):
    with pytest.raises(ValueError, match="not defined"):
        chance_coefficients(d1, d2, n)


def test_independent_networks_score_their_chance_level():
    """Every measure, on correlated neurons of unlike sizes."""
    generator = torch.Generator().manual_seed(1)
    moments = PairMoments(50, 40)
    maps = [torch.randn(d, d, generator=generator) @ torch.diag(torch.logspace(-1, 1, d)) for d in (50, 40)]
    for _ in range(4):
        moments.update(*(torch.randn(150, len(m), generator=generator) @ m for m in maps))
    for name, measure in MEASURES.items():
        score = measure(moments)
        assert score.value == pytest.approx(score.chance, abs=0.02), name
    score = svcca(moments, 20)
    assert score.value == pytest.approx(score.chance, abs=0.02)
    assert pwcca(moments).chance == mean_cca(moments).chance > 0.2
