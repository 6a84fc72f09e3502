"""Products with AC-Norm's correlation, against the matrix written from its definition."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from transfusion_cli.models.channel_mixing import mix

# Multiples of 1/1024, whose differences are exact: where rounding made a tie, the matrix would keep what lies further.
SENSITIVITIES = st.one_of(
    st.integers(-3, 3).map(float),
    *(st.integers(-last, last).map(lambda whole: whole / 1024) for last in (10_000_000, 1024)),
)
CHANNELS = st.lists(st.tuples(SENSITIVITIES, SENSITIVITIES, st.booleans()), min_size=1, max_size=24)


def by_the_matrix(values: Tensor, target: Tensor, source: Tensor, counts: Tensor, temperature: float) -> Tensor:
    distance = (target[:, None] - source[None, :]).abs()
    keep = distance <= distance.diagonal()[:, None]
    shares = torch.softmax(-distance.masked_fill(~counts[None, :], torch.inf) / temperature, dim=1)
    return values @ (shares * keep).T


@given(CHANNELS, st.sampled_from([0.1, 1.0, 7.0]))
def test_it_is_the_product_with_the_matrix(channels: list[tuple[float, float, bool]], temperature: float) -> None:
    """Whole numbers make ties and mirror images; numbers up to 10,000 lie in several blocks of the running sums."""
    target, source = torch.tensor([pair[:2] for pair in channels], dtype=torch.float64).T
    counts = torch.tensor([pair[2] for pair in channels])
    counts[0] = True
    values = torch.randn(2, len(channels), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = by_the_matrix(values, target, source, counts, temperature)
    torch.testing.assert_close(mix(values, target, source, counts, temperature), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spread", [0.01, 1.0, 1e3])
def test_gradients(spread: float) -> None:
    generator = torch.Generator().manual_seed(1)
    target, source = spread * torch.randn(2, 40, dtype=torch.float64, generator=generator)
    counts = torch.arange(40) % 7 != 0
    values = torch.randn(2, 40, dtype=torch.float64, generator=generator).requires_grad_()
    upstream = torch.randn(2, 40, dtype=torch.float64, generator=generator)
    found, expected = (
        torch.autograd.grad(form(values, target, source, counts, 1.0), values, upstream)[0]
        for form in (mix, by_the_matrix)
    )
    torch.testing.assert_close(found, expected)
