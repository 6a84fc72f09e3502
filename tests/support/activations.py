"""Made-up activations of two networks."""

import torch
from torch import Tensor

from transfusion_cli.analysis.measures.streaming import PairMoments


def related(n: int, d1: int, d2: int, shared: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Float64 ``(n, d1)`` and ``(n, d2)`` with some common directions, off-centre, in unlike units."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    common = normal(n, shared)
    x, y = ((common @ normal(shared, d) + normal(n, d) + 3 * normal(d)) * normal(d).exp() for d in (d1, d2))
    return x, y


def moments_of(x: Tensor, y: Tensor, batch: int = 1000) -> PairMoments:
    moments = PairMoments(x.shape[1], y.shape[1])
    for x_batch, y_batch in zip(x.split(batch), y.split(batch), strict=True):
        moments.update(x_batch, y_batch)
    return moments
