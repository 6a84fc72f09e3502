"""The kinds of target that data declare and tasks, metrics and losses understand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from torch import Tensor

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


def in_words(target: Target, class_names: Sequence[str], answer: "Tensor") -> str:
    """What one image is labelled with, for people.

    Args:
        target: the kind of target.
        class_names: K class names, or L label names.
        answer: float (L,), or an integer.
    """
    match target:
        case "multilabel":
            found = [name for name, value in zip(class_names, answer.tolist(), strict=True) if value > 0.5]
            return ", ".join(found) or ("unknown" if answer.isnan().all() else "none")
        case "binary":
            return "unknown" if answer.isnan() else class_names[int(answer > 0.5)]
        case _:
            return "unknown" if answer < 0 else class_names[int(answer)]
