"""How far a metric of one group of cases is from that of the others, whoever is in both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from transfusion_cli.metrics.difference import Difference, difference
from transfusion_cli.metrics.estimate import Estimate
from transfusion_cli.metrics.evaluation import Evaluation


class Gaps:
    """Two groups of the cases of one evaluation, and how far apart their metrics are.

    Each metric of either group is made of influences of patients. Those of both groups are put side by side over all
    patients: who is in one group alone adds to the variance of the gap, and who is in both (an image of either view,
    say) adds by the difference of the two influences. So groups of different patients are independent samples, groups
    of the same patients are paired, and nobody has to be sorted out.

    Args:
        whole: of all cases, its patients known if they are.
        first: the cases of the group, as a mask bool (N,).
        second: those that it is compared with, likewise.
    """

    def __init__(self, whole: Evaluation, first: Any, second: Any) -> None:
        self._sides = []
        for mask in (first, second):
            (rows,) = torch.as_tensor(mask).nonzero(as_tuple=True)
            self._sides.append(_Side(whole, rows))

    def __getitem__(self, metric: str) -> Difference:
        """The metric of the first group minus that of the second, both over the same labels where it is a mean.

        A label that is undefined in one of them would make means of different things.
        """
        made_of = [side.evaluation.made_of.get(metric) for side in self._sides]
        if None in made_of:
            pair = [side.estimates.get(metric) for side in self._sides]
        else:
            shared = [part for part in made_of[0] or () if part in (made_of[1] or ())]
            pair = [
                Estimate.mean([side.estimates[part] for part in shared]) if shared else None for side in self._sides
            ]
        first, second = pair
        if first is None or second is None:
            return Difference(float("nan"), why="undefined")
        return difference([first], [second], paired=False)

    def labels(self, metric: str) -> tuple[int, int]:
        """How many labels a mean is over in both groups, and in any of them; 0 and 0 where it is none."""
        parts = [set(side.evaluation.made_of.get(metric, ())) for side in self._sides]
        return len(parts[0] & parts[1]), len(parts[0] | parts[1])


class _Side:
    """One group, its estimates over all patients of the whole."""

    def __init__(self, whole: Evaluation, rows: Tensor) -> None:
        self.evaluation = whole.take(rows.numpy())
        own = self.evaluation.clusters
        place = torch.zeros(int(own.max()) + 1 if len(own) else 0, dtype=torch.int64)
        place[own] = whole.clusters[rows]
        patients = int(whole.clusters.max()) + 1 if len(whole) else 0
        self.estimates = {}
        for name, estimate in self.evaluation.estimates.items():
            spread = torch.zeros(len(estimate.spread), patients, dtype=torch.float64)
            spread[:, place] = estimate.spread
            self.estimates[name] = replace(estimate, spread=spread)
