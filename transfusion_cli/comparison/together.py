"""Several runs as one test: folds pooled, or an ensemble of networks that were tested on the same samples."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import torch

from transfusion_cli.comparison.tested import Tested
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation


class Together(NamedTuple):
    """The evaluation of all, how it came about, and the ids of its cases (N,)."""

    how: Literal["pooled", "ensemble"]
    evaluation: ClassificationEvaluation
    ids: np.ndarray


def together(tests: Sequence[Tested], names: Sequence[str]) -> Together:
    """Tests of several runs as one.

    Tests that share no sample are folds: each sample keeps the prediction of the one network that never saw it, and
    intervals are over the patients of all. Tests of the very same samples are of an ensemble: the mean of the
    networks' probabilities.

    Args:
        tests: at least two, each with its cases in the order of their ids.
        names: of the runs, for messages.

    Raises:
        UserError: the runs do not predict the same labels, or their tests overlap without being the same.
    """
    evaluations = [test.evaluation for test in tests]
    for name, evaluation in zip(names, evaluations, strict=True):
        first = evaluations[0]
        if not isinstance(evaluation, ClassificationEvaluation) or not isinstance(first, ClassificationEvaluation):
            raise UserError(f"{name} predicts masks: several runs together are for labels\nTest one run at a time.")
        if (evaluation.target, list(evaluation.class_names)) != (first.target, list(first.class_names)):
            raise UserError(
                f"{names[0]} and {name} do not predict the same labels: {', '.join(first.class_names[:6])} and "
                f"{', '.join(evaluation.class_names[:6])}\nGive runs on the same labels."
            )
    kinds: list[ClassificationEvaluation] = evaluations  # type: ignore[assignment]
    shared = {
        (one, two): np.intersect1d(tests[one].ids, tests[two].ids) for one, two in combinations(range(len(tests)), 2)
    }
    if not any(len(both) for both in shared.values()):
        return Together("pooled", _pooled(kinds), np.concatenate([test.ids for test in tests]))
    if all(test.test == tests[0].test for test in tests):
        mean = torch.stack([one.probabilities for one in kinds]).mean(dim=0)
        return Together("ensemble", replace(kinds[0], probabilities=mean, scores=None, loss=None), tests[0].ids)
    (one, two), both = max(shared.items(), key=lambda pair: len(pair[1]))
    raise UserError(
        f"{names[one]} and {names[two]} were tested on {len(tests[one].ids):,} and {len(tests[two].ids):,} samples, "
        f"{len(both):,} of them the same, or with other labels\n"
        "Folds share none, and an ensemble is of runs that hold back the same: give runs of one --data.split_seed."
    )


def _pooled(evaluations: Sequence[ClassificationEvaluation]) -> ClassificationEvaluation:
    patients = None
    if all(one.patients is not None for one in evaluations):
        patients = np.concatenate([np.asarray(one.patients, dtype=object) for one in evaluations])
    first = evaluations[0]
    return ClassificationEvaluation.of(
        first.target,
        first.class_names,
        torch.cat([one.probabilities for one in evaluations]),
        torch.cat([one.targets for one in evaluations]),
        patients,
    )
