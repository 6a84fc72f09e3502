"""Intervals by resampling patients."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

log = logging.getLogger(__name__)

CHUNK = 1_600_000
"""Samples times resamples worked on at once."""


class Interval(NamedTuple):
    """A percentile interval, and how many resamples left the metric undefined (they take no part in it)."""

    low: float
    high: float
    undefined_resamples: int


def bootstrap(
    statistic: Callable[[Tensor], dict[str, Tensor]],
    clusters: Tensor,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of any metrics by the cluster bootstrap (Davison & Hinkley 1997, 3.8).

    Patients are drawn with replacement, each with all of their samples. A metric that a resample leaves undefined,
    for it drew no positive say, is left out of that resample and counted.

    Args:
        statistic: metrics (R,) by name, for float32 weights (C, R) that count how often each cluster was drawn.
        clusters: int64 (N,), the cluster (patient) of each sample, from 0 to C - 1.
        resamples: number of resamples.
        confidence: probability that the interval is meant to cover.
        seed: equal seeds give equal intervals.

    Returns:
        An interval for each metric; NaN limits where no resample, or fewer than two patients, define them.
    """
    num_clusters = len(clusters.unique())
    if num_clusters < 2:
        log.warning("No intervals: resampling needs at least two patients, and there is %d.", num_clusters)
        nothing = statistic(torch.ones(num_clusters, 1))
        return {name: Interval(math.nan, math.nan, resamples) for name in nothing}
    chunks = [statistic(weights) for weights in _resamples(num_clusters, len(clusters), resamples, seed)]
    return {name: _interval(torch.cat([chunk[name] for chunk in chunks]), confidence) for name in chunks[0]}


def cluster_codes(patients: Sequence[Hashable] | None, num_samples: int) -> Tensor:
    """Number the patients from 0 in order of appearance: int64 ``(N,)``; each sample its own where none are known.

    Raises:
        ValueError: numbers of patients and samples differ.
    """
    if patients is None:
        return torch.arange(num_samples)
    if len(patients) != num_samples:
        raise ValueError(f"{len(patients)} patients for {num_samples} samples")
    codes: dict[Hashable, int] = {}
    items = patients.tolist() if hasattr(patients, "tolist") else patients
    return torch.tensor([codes.setdefault(patient, len(codes)) for patient in items], dtype=torch.int64)


def _resamples(num_clusters: int, num_samples: int, resamples: int, seed: int) -> Iterator[Tensor]:
    """Yield float32 ``(C, r)`` counts of draws, with r such that arrays of N rows stay near the processor's cache."""
    generator = torch.Generator().manual_seed(seed)
    chunk = max(1, CHUNK // max(1, num_samples))
    for start in range(0, resamples, chunk):
        drawn = torch.randint(num_clusters, (min(chunk, resamples - start), num_clusters), generator=generator)
        counts = torch.zeros(drawn.shape).scatter_add_(1, drawn, torch.ones(drawn.shape))
        yield counts.T.contiguous()


def _interval(values: Tensor, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = values.nanquantile(torch.tensor([tail, 1 - tail], dtype=values.dtype)).tolist()
    return Interval(low, high, int(values.isnan().sum()))
