"""Maps of images, beside those of the same network with other weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.explanation.case import Case, Explained
from transfusion_cli.explanation.grad_cam import GradCAM
from transfusion_cli.explanation.label_scores import LabelScores
from transfusion_cli.explanation.redrawn import LEVELS, Redrawn
from transfusion_cli.tasks.classification import ClassificationTask

DRAWS = 3
"""Draws of each level of randomisation: one alone may happen to be like the network."""

BATCH = 16

CLOSE = 1e-4
"""How far logits behind the map may be from those of the whole network, by the largest where that is above 1."""


def explain(task: ClassificationTask, cases: Sequence[Case]) -> list[Explained]:
    """Explain what a network says of some images; it is afterwards as it was.

    Args:
        task: with its network.
        cases: images of one size.

    Raises:
        UserError: there are no maps of such a network.
    """
    with evaluating(task):
        found: list[Explained] = []
        scores, cam, redrawn = LabelScores(task.target, task.class_names), GradCAM(task.network), Redrawn(task.network)
        for start in range(0, len(cases), BATCH):
            found += _batch(task, cases[start : start + BATCH], scores, cam, redrawn)
        return found


@contextmanager
def evaluating(task: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode that each module was in."""
    modes = {module: module.training for module in task.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of the absolute values of two maps, ties by their mean rank; NaN if one is even."""
    from scipy.stats import spearmanr

    first, second = np.abs(one).ravel(), np.abs(other).ravel()
    if not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return math.nan
    return float(spearmanr(first, second).statistic)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean of each column (D, N) over what is no NaN there; NaN where nothing is."""
    known = np.isfinite(values)
    sums, counts = np.where(known, values, 0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _batch(
    task: ClassificationTask, cases: Sequence[Case], scores: LabelScores, cam: GradCAM, redrawn: Redrawn
) -> list[Explained]:
    images = task.normalise(torch.stack([case.image for case in cases]).to(task.device))
    with torch.no_grad():
        logits = task(images)
    chosen = scores.chosen(logits).tolist()
    labels = [one if case.label is None else case.label for one, case in zip(chosen, cases, strict=True)]
    own = [scores.true(case.target) if case.label is None else None for case in cases]

    def maps_of(numbers: Sequence[int]) -> tuple[np.ndarray, Tensor]:
        asked = torch.tensor(numbers, device=logits.device)
        maps, given = cam(images, lambda out: scores.score(out, asked))
        return maps.cpu().numpy(), given

    maps, again = maps_of(labels)
    if not float((again - logits).abs().max()) <= CLOSE * max(1.0, float(logits.abs().max())):
        raise UserError(
            f"{task.backbone} makes more of its features than timm's networks do: its maps would be of another one.\n"
            "Try a backbone of another kind."
        )
    true_maps, _ = maps_of([label if true is None else true for label, true in zip(labels, own, strict=True)])
    drawn: dict[str, np.ndarray] = {}
    correlations: dict[str, np.ndarray] = {}
    for level in LEVELS:
        draws = []
        for seed in range(DRAWS):
            with redrawn.drawn(level, seed):
                draws.append(maps_of(labels)[0])
        drawn[level] = draws[0]
        each = [[rank_correlation(*pair) for pair in zip(maps, draw, strict=True)] for draw in draws]
        correlations[level] = mean_of_defined(np.array(each))
    p = scores.probabilities(logits)
    return [
        Explained(
            case,
            scores.names[labels[at]],
            float(p[at, labels[at]]),
            maps[at],
            None if (true := own[at]) is None or true == labels[at] else (scores.names[true], true_maps[at]),
            {level: drawn[level][at] for level in LEVELS},
            {level: float(correlations[level][at]) for level in LEVELS},
        )
        for at, case in enumerate(cases)
    ]
