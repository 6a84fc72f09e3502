"""How far a score would differ on other patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score

Terms = tuple[float, ...]


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands by one score, with intervals over patients.

    Args:
        value: the score on all images.
        low, high: its interval; NaN with less than two halves.
        first: share of the halves in which the candidate is the best.
        behind: how much better the best candidate is, 0 or more whichever way the score points.
        behind_low, behind_high: the interval of this difference, by the same patients for both.
    """

    value: float
    low: float
    high: float
    first: float
    behind: float
    behind_low: float
    behind_high: float


def halves(targets: Tensor, groups: Tensor | None = None, count: int = 20, seed: int = 0) -> list[Tensor]:
    """Draw random halves of the patients, without replacement, the same for every candidate.

    A bootstrap would repeat images. These are their own nearest neighbours, and lower the rank of the features, on
    which most scores depend. Halves repeat none, and the spread of a statistic over halves estimates its spread over
    samples of all patients: the delete-d jackknife with d = n / 2 (Shao and Wu 1989), whose factor (n - d) / d is 1.

    Patients whose first images have the same targets are paired at random and one of each pair is drawn, so that rare
    classes do not go missing; those who are left over are paired among themselves.

    Args:
        targets: float (N, L) or int64 (N,).
        groups: int64 (N,), which patient each image is of; None where each image is a patient.
        count: of halves.
        seed: of the draw.

    Returns:
        The rows of each half, in their order.
    """
    images = torch.arange(len(targets))
    patients = images if groups is None else groups.unique(return_inverse=True)[1]
    number = int(patients.max()) + 1
    first = torch.full((number,), len(images)).scatter_reduce(0, patients, images, "amin")
    kinds = targets[first].double().nan_to_num(-1).reshape(number, -1).unique(dim=0, return_inverse=True)[1]
    sizes = kinds.bincount()
    odd = torch.zeros(number, dtype=torch.bool)
    odd[(sizes.cumsum(dim=0) - 1)[sizes % 2 == 1]] = True
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(count):
        order = torch.randperm(number, generator=generator)
        order = order[kinds[order].argsort(stable=True)]
        order = torch.cat([order[~odd], order[odd]])
        heads = torch.randint(2, ((number + 1) // 2,), generator=generator).bool()
        chosen = torch.empty(number, dtype=torch.bool)
        chosen[order] = torch.stack([heads, ~heads], dim=1).flatten()[:number]
        drawn.append(chosen[patients].nonzero()[:, 0])
    return drawn


def standings(score: Score, whole: list[Terms], parts: list[list[Terms]], confidence: float = 0.95) -> list[Standing]:
    """Values of candidates with intervals over patients: value ± t · standard deviation over halves.

    Args:
        score: the score.
        whole: each candidate's terms on all images.
        parts: for each half in which all candidates could be scored, each candidate's terms.
        confidence: of the intervals.

    Returns:
        One for each candidate, in their order.
    """
    from scipy.stats import t

    values = np.array(score.combine(whole))
    table = np.array([score.combine(half) for half in parts]).reshape(len(parts), len(whole))
    sign = 1 if score.higher_is_better else -1
    best = int((sign * values).argmax())
    behind, behinds = sign * (values[best] - values), sign * (table[:, [best]] - table)
    firsts = np.zeros(len(whole))
    if len(parts):
        leading = sign * table == (sign * table).max(axis=1, keepdims=True)
        firsts = (leading / leading.sum(axis=1, keepdims=True)).mean(axis=0)  # a tie is shared
    reach = [np.full(len(whole), np.nan)] * 2
    if len(parts) > 1:
        factor = t.ppf((1 + confidence) / 2, len(parts) - 1)
        reach = [factor * numbers.std(axis=0, ddof=1) for numbers in (table, behinds)]
    columns = (values, values - reach[0], values + reach[0], firsts, behind, behind - reach[1], behind + reach[1])
    return [Standing(*row) for row in np.stack(columns, axis=1).tolist()]
