"""The sparse channel correlation of AC-Norm times vectors, without its matrix: O(C log C) in place of O(C^2).

In NumPy, whose many small steps on a few hundred numbers cost a fraction of what those of PyTorch do.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST = 300.0
"""Natural logarithm of the largest factor that sums are scaled by, far inside the range of float64."""


class ChannelMixing:
    """The correlation C as products with it and with its transpose.

    Row i of the correlation is ``softmax_j(-|target_i - source_j| / temperature)`` where ``source_j`` is at least as
    near as ``source_i``, and zero elsewhere. In sorted order these are the neighbours from ``source_i`` to its mirror
    image beyond ``target_i``, so what a row sums up is the difference of two running sums, to the left of ``target_i``
    and to the right. Running sums decay with the distance, so that nothing overflows.

    Args:
        target: sensitivities of the target's channels (C,), float64.
        source: those of the source's channels (C,), float64.
        counts: which channels of the source take part (C,), at least one.
        temperature: of the softmax.
    """

    def __init__(self, target: np.ndarray, source: np.ndarray, counts: np.ndarray, temperature: float) -> None:
        taking_part = np.flatnonzero(counts)
        self.channels, self.order = len(source), taking_part[np.argsort(source[taking_part])]
        columns = source[self.order]
        mirrored = 2 * target - source
        first = np.searchsorted(columns, np.minimum(source, mirrored))
        last = np.searchsorted(columns, np.maximum(source, mirrored), side="right")
        middle = np.searchsorted(columns, target, side="right")

        places, here, end = columns / temperature, target / temperature, len(columns)
        self._below, self._above = _DecayingSums(places), _DecayingSums(-places[::-1])
        # As in any softmax, numerator and denominator are scaled so that the nearest counts 1.
        nearest = np.minimum(
            np.where(middle > 0, here - places[np.maximum(middle - 1, 0)], np.inf),
            np.where(middle < end, places[np.minimum(middle, end - 1)] - here, np.inf),
        )

        def left(stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Where the sum over all that lies before ``stop``, below the target, is found, and its factor."""
            at = np.maximum(stop - 1, 0)
            return at, np.where(stop > 0, np.exp(np.minimum(places[at] - here + nearest, 0)), 0)

        def right(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """The same of all from ``start`` on, which is above the target."""
            at = np.minimum(start, end - 1)
            return at, np.where(start < end, np.exp(np.minimum(here - places[at] + nearest, 0)), 0)

        all_left, all_right = left(middle), right(middle)
        self._left = (all_left, left(np.minimum(first, middle)))
        self._right = (all_right, right(np.maximum(last, middle)))
        ones = np.ones((1, end))
        self._denominator = (_taken(self.below(ones), all_left) + _taken(self.above(ones), all_right))[0]

    def times(self, values: np.ndarray) -> np.ndarray:
        """C v for each row v of ``values`` (V, C)."""
        sorted_ = values[:, self.order]
        below, above = self.below(sorted_), self.above(sorted_)
        (all_left, not_left), (all_right, not_right) = self._left, self._right
        kept = _taken(below, all_left) - _taken(below, not_left) + _taken(above, all_right) - _taken(above, not_right)
        product: np.ndarray = kept / self._denominator
        return product

    def transposed_times(self, values: np.ndarray) -> np.ndarray:
        """The transpose of C times v for each row v of ``values`` (V, C)."""
        shares, end = values / self._denominator, len(self.order)
        below = _given(shares, self._left[0], end) - _given(shares, self._left[1], end)
        above = _given(shares, self._right[0], end) - _given(shares, self._right[1], end)
        product = np.zeros((len(values), self.channels))
        product[:, self.order] = self.above(below) + self.below(above)  # each is the transpose of the other
        return product

    def below(self, values: np.ndarray) -> np.ndarray:
        """Running sums ``S_k = sum over j <= k of exp(places_j - places_k) values_j``: (V, C)."""
        return self._below(values)

    def above(self, values: np.ndarray) -> np.ndarray:
        """Running sums ``S_k = sum over j >= k of exp(places_k - places_j) values_j``: (V, C)."""
        return self._above(values[:, ::-1])[:, ::-1]


def mix(values: Tensor, target: Tensor, source: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """Product of the correlation with vectors, differentiable in the vectors; for the others see ``ChannelMixing``.

    Args:
        values: (V, C), float64, on the CPU.
        target: (C,).
        source: (C,).
        counts: (C,).
        temperature: of the softmax.

    Returns:
        (V, C).
    """
    mixed: Tensor = _Product.apply(values, ChannelMixing(target.numpy(), source.numpy(), counts.numpy(), temperature))
    return mixed


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, mixing: ChannelMixing) -> Tensor:
        ctx.mixing = mixing
        return torch.from_numpy(mixing.times(values.detach().numpy()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.mixing.transposed_times(gradient.numpy())), None


class _DecayingSums:
    """Running sums along sorted places (C,), in blocks, one but for sensitivities that lie very far apart."""

    def __init__(self, places: np.ndarray) -> None:
        block = np.floor((places - places[0]) / LONGEST)
        bounds = [0, *(np.flatnonzero(block[1:] != block[:-1]) + 1), len(places)]
        self._blocks = [
            (start, end, np.exp(places[start:end] - places[start]), np.exp(places[max(start - 1, 0)] - places[start]))
            for start, end in pairwise(bounds)
        ]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        sums = np.empty_like(values)
        for start, end, growth, decay in self._blocks:
            block = (values[:, start:end] * growth).cumsum(axis=1)
            if start:
                block += sums[:, start - 1 : start] * decay
            sums[:, start:end] = block / growth
        return sums


def _taken(sums: np.ndarray, where: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    at, factors = where
    taken: np.ndarray = sums[:, at] * factors
    return taken


def _given(values: np.ndarray, where: tuple[np.ndarray, np.ndarray], end: int) -> np.ndarray:
    """The transpose of ``_taken``."""
    at, factors = where
    return np.stack([np.bincount(at, weights=row, minlength=end) for row in values * factors])
