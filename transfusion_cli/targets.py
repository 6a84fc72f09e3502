"""The kinds of target that data declare and tasks, metrics and losses understand."""

from typing import Literal, get_args

Target = Literal["binary", "multiclass", "multilabel", "ordinal"]
"""What one image is labelled with.

* ``binary``: ``[negative, positive]`` class names, one logit; target float ``(B, 1)``.
* ``multilabel``: L label names, L logits; target float ``(B, L)``.
* ``multiclass``: K class names, K logits; target int ``(B,)``.
* ``ordinal``: K ordered class names, K-1 conditional logits (CORN, Shi et al. 2021); target int ``(B,)``.

Unknown labels are NaN in float targets and -1 in integer targets.
"""

TARGETS: tuple[str, ...] = get_args(Target)


def num_logits(target: Target, num_classes: int) -> int:
    """How many logits the head gives for ``num_classes`` class (or label) names."""
    match target:
        case "binary":
            return 1
        case "ordinal":
            return num_classes - 1
        case _:
            return num_classes
