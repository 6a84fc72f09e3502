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

IGNORE = 255
"""What a mask says where nothing is known, or where nobody is to look: it counts in no loss and in no metric."""

MaskTarget = Literal["mask", "regions"]
"""What a mask says of each voxel.

* ``mask``: one of K classes or background; K + 1 logits, background first.
* ``regions``: any of K regions, which may overlap, each a set of the mask's labels; K logits.
"""

MASK_TARGETS: tuple[str, ...] = get_args(MaskTarget)


def num_logits(target: Target, num_classes: int) -> int:
    """How many logits the head gives for ``num_classes`` class (or label) names."""
    match target:
        case "binary":
            return 1
        case "ordinal":
            return num_classes - 1
        case _:
            return num_classes


def label_names(class_names: Sequence[str], regions: Sequence[Sequence[int]] | None) -> list[str]:
    """Names of the labels of a mask, from 1 on: its classes, or the smallest region of each.

    Args:
        class_names: of the classes, or of the regions.
        regions: labels in each region; None where there are none.
    """
    if regions is None:
        return list(class_names)
    order = sorted(range(len(regions)), key=lambda row: len(regions[row]))
    last = max(label for region in regions for label in region)
    return [next((class_names[row] for row in order if label in regions[row]), "") for label in range(1, last + 1)]


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
