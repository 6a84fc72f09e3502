"""What a network says of one class or label, as a number that can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.metrics.probabilities import decisions, probabilities
from transfusion_cli.targets import Target


@dataclass(frozen=True)
class LabelScores:
    """The classes or labels of a network, by number.

    Args:
        target: the kind of target.
        names: of the classes, both of a binary target, or of the labels.
    """

    target: Target
    names: Sequence[str]

    def score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What is explained, (B,): the logit; of a binary target's negative class its opposite; ordinal: log p.

        Args:
            logits: (B, K).
            labels: int64 (B,), of each image.
        """
        match self.target:
            case "binary":
                return logits[:, 0] * (2 * labels - 1)
            case "ordinal":  # CORN: each logit is of going on, given that one came so far
                none = logits.new_zeros(len(logits), 1)
                reached = torch.cat([none, F.logsigmoid(logits).cumsum(dim=1)], dim=1)
                of_each = reached + torch.cat([F.logsigmoid(-logits), none], dim=1)
            case _:
                of_each = logits
        return of_each.gather(1, labels[:, None])[:, 0]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of every class or label, float64 (B, len(names))."""
        p = probabilities(self.target, logits)
        return torch.cat([1 - p, p], dim=1) if self.target == "binary" else p

    def chosen(self, logits: Tensor) -> Tensor:
        """What the network decides for, int64 (B,); of several labels the most probable."""
        p = probabilities(self.target, logits)
        if self.target == "multilabel":
            return p.argmax(dim=1)
        found = decisions(self.target, p)
        return found[:, 0].long() if self.target == "binary" else found

    def true(self, target: Tensor) -> int | None:
        """The class that an image belongs to, where it is known and there is but one."""
        match self.target:
            case "multilabel":
                return None
            case "binary":
                return None if target.isnan() else int(target > 0.5)
            case _:
                return None if target < 0 else int(target)
