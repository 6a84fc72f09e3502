"""A number, and what it owes to each patient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Sides = Mapping[str, Tensor]
"""Cases (N,) that a metric is made of, as one or two masks by name: all of them, or positives and negatives."""

FEWEST = 10
"""Patients on a side (positives, say) below which a share has no interval that can be trusted."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A metric with the influence of each patient on it, from which variances and covariances follow.

    The influence of a case is the derivative of the metric by the weight of the case (the infinitesimal jackknife,
    Efron 1982); a patient's is the sum over the cases. For AUROC these are the placements of DeLong et al. (1988), and
    variance and covariance those of clustered data by Obuchowski (1997): the two sides have factors I / (I - 1) of
    their own, for I patients with cases on that side.

    Args:
        value: the metric.
        spread: float64 (4, C) for C patients: the influence of either side times the root of its factor, and that
            of either side times the root of the factor that both sides have together. Linear in the metric: a mean
            of metrics has the mean of the spreads.
        patients: how many patients have cases on each side, by its name.
        cases: how many cases there are on each side; empty for a mean.
        alone: the variance if each case were a patient of its own; NaN for a mean.
        needed: patients on a side below which there is no interval.
    """

    value: float
    spread: Tensor
    patients: Mapping[str, int]
    cases: Mapping[str, int] = field(default_factory=dict)
    alone: float = math.nan
    needed: int = FEWEST

    @classmethod
    def of(cls, value: float, influence: Tensor, sides: Sides, clusters: Tensor, needed: int = FEWEST) -> Estimate:
        """From the influence of cases.

        Args:
            value: the metric.
            influence: float64 (N,), zero for cases on no side.
            sides: one or two masks bool (N,).
            clusters: int64 (N,), the patient of each case, from 0 to C - 1.
            needed: as for the class.
        """
        count = len(clusters.unique())
        sums = torch.zeros(2, count, dtype=torch.float64)
        seen = torch.zeros(2, count, dtype=torch.bool)
        for row, mask in enumerate(sides.values()):
            sums[row].index_add_(0, clusters[mask], influence[mask])
            seen[row, clusters[mask]] = True
        own = torch.tensor([factor(int(side.sum())) for side in seen], dtype=torch.float64)
        both = factor(int(seen.any(dim=0).sum()))
        spread = torch.cat([sums * own.sqrt()[:, None], sums * math.sqrt(both)])
        patients = {name: int(side.sum()) for name, side in zip(sides, seen, strict=False)}
        cases = {name: int(mask.sum()) for name, mask in sides.items()}
        alone = sum(factor(cases[name]) * influence[mask].square().sum().item() for name, mask in sides.items())
        return cls(value, spread, patients, cases, alone, needed)

    @classmethod
    def mean(cls, parts: Sequence[Estimate]) -> Estimate:
        """The mean of several metrics of the same cases; as few patients as the part with the fewest."""
        patients: dict[str, int] = {}
        for part in parts:
            for side, count in part.patients.items():
                patients[side] = min(count, patients.get(side, count))
        spread = torch.stack([part.spread for part in parts]).mean(dim=0)
        value, needed = sum(part.value for part in parts) / len(parts), max(part.needed for part in parts)
        return cls(value, spread, patients, needed=needed)

    @property
    def variance(self) -> float:
        """Of the value, over tests with other patients."""
        return covariance([self]).item()

    @property
    def fewest(self) -> tuple[int, str]:
        """The patients on the side that has the fewest, and its name."""
        return min((count, name) for name, count in self.patients.items())


def covariance(estimates: Sequence[Estimate]) -> Tensor:
    """Covariances (M, M) of M metrics of the same patients, as they would be over tests with other patients."""
    first, second, first_both, second_both = torch.stack([one.spread for one in estimates], dim=1).unbind()
    mixed = first_both @ second_both.T
    return first @ first.T + second @ second.T + mixed + mixed.T


def factor(patients: int) -> float:
    """I / (I - 1), which makes a mean of squares over I patients unbiased; 1 for a single one."""
    return patients / (patients - 1) if patients > 1 else 1.0
