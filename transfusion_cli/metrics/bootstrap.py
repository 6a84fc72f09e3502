"""Intervals by resampling patients."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from transfusion_cli.metrics.decision_metrics import DecisionCounts, decision_metrics, indicators, quadratic_kappa
from transfusion_cli.metrics.one_vs_rest import one_vs_rest
from transfusion_cli.metrics.weighted_ranking import WeightedRanking
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

CHUNK = 1_600_000
"""Samples times resamples worked on at once."""


class Interval(NamedTuple):
    """A percentile interval, and how many resamples left the metric undefined (they take no part in it)."""

    low: float
    high: float
    undefined_resamples: int


class WeightedMetrics:
    """All of ``classification_metrics`` under many weightings of the clusters at once.

    Args:
        target: The kind of target.
        class_names: K class names, or L label names.
        probabilities: ``(N, L)`` or ``(N, K)``.
        targets: float ``(N, L)`` or int64 ``(N,)``.
        clusters: int64 ``(N,)``, the cluster of each sample, from 0 to C - 1.
        scores: What to rank by, as for ``classification_metrics``.
    """

    def __init__(
        self,
        target: Target,
        class_names: Sequence[str],
        probabilities: Tensor,
        targets: Tensor,
        clusters: Tensor,
        scores: Tensor | None = None,
    ) -> None:
        questions = one_vs_rest(target, class_names, probabilities, targets, scores)
        num_clusters = len(clusters.unique())
        self._target, self._names = target, questions.names
        self._rankings = [
            WeightedRanking(scores[known], truth[known], clusters[known], num_clusters)
            for scores, truth, known in zip(questions.scores.T, questions.truth.T, questions.known.T, strict=True)
        ]
        decided = indicators(questions).float().flatten(0, 1)
        if target == "ordinal":
            truth, chosen = (answers.long().argmax(dim=1) for answers in (questions.truth, questions.chosen))
            squared_error = (truth - chosen).square() * questions.known[:, 0]
            decided = torch.cat([decided, squared_error[None].float()])
        self._counts = torch.zeros(len(decided), num_clusters).index_add_(1, clusters, decided)

    def __call__(self, weights: Tensor) -> dict[str, Tensor]:
        """Metrics ``(R,)`` by name, for float32 weights ``(C, R)`` that count how often each cluster was drawn."""
        auroc, precision = zip(*(ranking(weights) for ranking in self._rankings), strict=True)
        by_class = {"auroc": torch.stack(auroc), "average_precision": torch.stack(precision)}
        metrics = {name: values.nanmean(dim=0) for name, values in by_class.items()}
        totals = (self._counts @ weights).double()
        counts = DecisionCounts(*totals[: 4 * len(self._names)].unflatten(0, (4, -1)))
        metrics |= decision_metrics(self._target, counts)
        if self._target == "ordinal":
            metrics["kappa"] = quadratic_kappa(counts, totals[-1])
        if self._target != "binary":
            for metric, values in by_class.items():
                metrics |= {f"{metric}/{name}": value for name, value in zip(self._names, values, strict=True)}
        return metrics


def bootstrap_intervals(
    target: Target,
    class_names: Sequence[str],
    probabilities: Tensor,
    targets: Tensor,
    patients: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    scores: Tensor | None = None,
) -> dict[str, Interval]:
    """Percentile intervals of all ``classification_metrics`` by the cluster bootstrap (Davison & Hinkley 1997, 3.8).

    Patients are drawn with replacement, each with all of their samples. A metric that a resample leaves undefined,
    for it drew no positive say, is left out of that resample and counted.

    Args:
        target: The kind of target.
        class_names: K class names, or L label names.
        probabilities: ``(N, L)`` or ``(N, K)``.
        targets: float ``(N, L)`` or int64 ``(N,)``.
        patients: The patient of each sample; ``None`` makes each sample its own cluster.
        resamples: Number of resamples.
        confidence: Probability that the interval is meant to cover.
        seed: Equal seeds give equal intervals.
        scores: What to rank by, as for ``classification_metrics``.

    Returns:
        The keys of ``classification_metrics``; NaN limits where no resample, or fewer than two patients, define them.
    """
    clusters = cluster_codes(patients, len(targets))
    num_clusters = len(clusters.unique())
    metrics = WeightedMetrics(target, class_names, probabilities, targets, clusters, scores)
    if num_clusters < 2:
        log.warning("No intervals: resampling needs at least two patients, and there is %d.", num_clusters)
        nothing = metrics(torch.ones(num_clusters, 1))
        return {name: Interval(math.nan, math.nan, resamples) for name in nothing}
    chunks = [metrics(weights) for weights in _resamples(num_clusters, len(targets), resamples, seed)]
    return {name: _interval(torch.cat([chunk[name] for chunk in chunks]), confidence) for name in chunks[0]}


def cluster_codes(patients: Sequence[Hashable] | None, num_samples: int) -> Tensor:
    """Number the patients from 0 in order of appearance: int64 ``(N,)``."""
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
