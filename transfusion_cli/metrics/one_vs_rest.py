"""Every kind of target seen as a set of yes-or-no questions, one for each class or label."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.metrics.probabilities import decisions
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)


class OneVsRest(NamedTuple):
    """L yes-or-no questions about N samples.

    * ``names``: what each question asks; for binary targets the positive class alone.
    * ``scores``: float64 ``(N, L)``, the higher the more likely yes: log-odds, or the probability itself.
    * ``truth``, ``known``, ``chosen``: bool ``(N, L)``: the answer is yes, is known at all, is decided to be yes.
    """

    names: list[str]
    scores: Tensor
    truth: Tensor
    known: Tensor
    chosen: Tensor


def question_names(target: Target, class_names: Sequence[str]) -> list[str]:
    """What the L questions ask."""
    return list(class_names[1:]) if target == "binary" else list(class_names)


def answers(target: Target, class_names: Sequence[str], targets: Tensor) -> tuple[Tensor, Tensor]:
    """True and known answers, bool ``(N, L)`` each.

    Unknown targets (NaN, -1) and soft ones (strictly between 0 and 1, made for training) count as not known.

    Raises:
        ValueError: if the shape of the targets is at odds with the class names.
    """
    targets, width = targets.detach().cpu(), len(question_names(target, class_names))
    labels = target in ("binary", "multilabel")
    if targets.shape[1:] != ((width,) if labels else ()):
        raise ValueError(f"{target} targets {tuple(targets.shape)} do not fit {len(class_names)} class names")
    if labels:
        return targets == 1, (targets == 0) | (targets == 1)
    known = (targets >= 0)[:, None].repeat(1, width)
    return F.one_hot(targets.clamp(min=0), width).bool() & known, known


def one_vs_rest(
    target: Target, class_names: Sequence[str], probabilities: Tensor, targets: Tensor, scores: Tensor | None = None
) -> OneVsRest:
    """See predictions of any kind as one yes-or-no question for each class.

    If a probability is not finite then no answer counts as known: a network that diverged has no metrics.

    Args:
        target: the kind of target.
        class_names: K class names, or L label names.
        probabilities: ``(N, L)`` or ``(N, K)`` from :func:`transfusion_cli.metrics.probabilities.probabilities`.
        targets: float ``(N, L)`` or int64 ``(N,)``.
        scores: what to rank by, of the shape of the probabilities: where there are logits, their
            :func:`transfusion_cli.metrics.probabilities.log_odds`; else, by default, the probabilities.

    Raises:
        ValueError: if the shapes are at odds with each other or with the class names.
    """
    names = question_names(target, class_names)
    truth, known = answers(target, class_names, targets)
    if probabilities.shape != truth.shape:
        raise ValueError(f"{target} probabilities {tuple(probabilities.shape)} do not fit {tuple(truth.shape)} answers")
    probabilities = probabilities.detach().cpu().double()
    scores = probabilities if scores is None else scores.detach().cpu().double()
    if scores.shape != truth.shape:
        raise ValueError(f"{target} scores {tuple(scores.shape)} do not fit {tuple(truth.shape)} answers")
    chosen = decisions(target, probabilities)
    if chosen.ndim == 1:
        chosen = F.one_hot(chosen, len(names)).bool()
    if not probabilities.isfinite().all():
        log.warning("Some probabilities are not finite: all metrics are undefined.")
        known, truth = torch.zeros_like(known), torch.zeros_like(truth)
    return OneVsRest(names, scores, truth, known, chosen)
