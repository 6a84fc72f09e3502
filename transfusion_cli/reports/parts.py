"""What of a test split gets results of its own: all of it, each domain, and the examinations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.metrics.by_exam import mean_over_exams
from transfusion_cli.tasks.classification import Evaluation


class Part(NamedTuple):
    """Probabilities (N, K) and targets of one part, patients (N,) or None, and its name in ``results.json``.

    ``scores`` (N, K) is what to rank by, None for the probabilities themselves.
    """

    stage: str
    probabilities: Tensor
    targets: Tensor
    patients: Any
    scores: Tensor | None = None

    @property
    def several_images_each(self) -> bool:
        """Whether patients are known and have more than one image, some of them."""
        return self.patients is not None and len(np.unique(self.patients)) < len(self.patients)


def parts(evaluation: Evaluation, samples: SampleTable) -> Iterator[Part]:
    """``test``, then ``test[DOMAIN]`` where there are several domains, then ``test[exams]`` where exams are known.

    Args:
        evaluation: What the network said about the split.
        samples: The table that the evaluation's indices refer to.
    """
    rows = evaluation.table.index.numpy()
    probabilities, targets = evaluation.probabilities, evaluation.table.targets
    patients = None if samples.patients is None else samples.patients[rows]
    scores = evaluation.scores
    yield Part("test", probabilities, targets, patients, scores)
    if samples.domains is not None:
        domains = samples.domains[rows]
        names = np.unique(domains)
        for name in names if len(names) > 1 else ():
            inside = domains == name
            ranked = None if scores is None else scores[inside]
            yield Part(f"test[{name}]", probabilities[inside], targets[inside], _take(patients, inside), ranked)
    if samples.exams is not None:
        means, labels, first = mean_over_exams(samples.exams[rows], probabilities, targets)
        yield Part("test[exams]", means, labels, _take(patients, first))


def _take(values: np.ndarray | None, which: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[which]
