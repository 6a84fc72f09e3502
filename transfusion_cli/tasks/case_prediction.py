"""What a network says of one case, in the case's own grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from transfusion_cli.targets import MaskTarget


@dataclass(eq=False)
class CasePrediction:
    """Filled slab by slab; on the CPU. What no slab covers holds nothing.

    Args:
        classes: bool (K, *S0), where each class, or region, is.
        scores: float32 (*S0), log-odds of the one class; -inf where no slab was.
        probabilities: float16 (K, *S0).
        loss: of the whole case; NaN where nothing is known of it.
    """

    classes: Tensor
    scores: Tensor | None = None
    probabilities: Tensor | None = None
    loss: float = float("nan")

    @classmethod
    def blank(cls, classes: int, shape: Sequence[int], scores: bool, probabilities: bool) -> Self:
        """Nothing yet, for K classes and a grid (*S0)."""
        return cls(
            torch.zeros(classes, *shape, dtype=torch.bool),
            torch.full(tuple(shape), -torch.inf) if scores else None,
            torch.zeros(classes, *shape, dtype=torch.float16) if probabilities else None,
        )

    def write(self, place: tuple[slice, ...], logits: Tensor, target: MaskTarget) -> None:
        """Decide on a slab.

        Args:
            place: where it is.
            logits: (K + 1, *P), of regions (K, *P).
            target: what they mean.
        """
        where = (slice(None), *place)
        if target == "mask":
            chosen = logits.argmax(0).cpu()
            for number, of_class in enumerate(self.classes, start=1):
                of_class[place] = chosen == number
        else:
            self.classes[where] = (logits > 0).cpu()
        if self.scores is not None:
            self.scores[place] = (logits[-1] - logits[0] if target == "mask" else logits[0]).float().cpu()
        if self.probabilities is not None:
            chances = logits.softmax(0)[1:] if target == "mask" else logits.sigmoid()
            self.probabilities[where] = chances.half().cpu()

    def labels(self, regions: Sequence[Sequence[int]] | None) -> Tensor:
        """The mask, uint8 (*S0), as the data have theirs.

        Of regions each voxel gets the label that is in just those that hold it; where there is none, that of the
        smallest of them.
        """
        found = torch.zeros(self.classes.shape[1:], dtype=torch.uint8)
        order = range(len(self.classes)) if regions is None else _large_first(regions)
        for row in order:
            label = row + 1 if regions is None else _own_label(row, regions)
            found[self.classes[row]] = label
        return found

    @staticmethod
    def classes_of(labels: Tensor, regions: Sequence[Sequence[int]] | None, classes: int) -> Tensor:
        """Where each class or region is in a mask uint8 (*S0): bool (K, *S0)."""
        sets = [[label] for label in range(1, classes + 1)] if regions is None else regions
        return torch.stack([torch.isin(labels, torch.tensor(list(some), dtype=torch.uint8)) for some in sets])


def _large_first(regions: Sequence[Sequence[int]]) -> list[int]:
    return sorted(range(len(regions)), key=lambda row: -len(regions[row]))


def _own_label(row: int, regions: Sequence[Sequence[int]]) -> int:
    """The label of a region that no smaller region inside it holds; its last where there is none."""
    inner = {label for other in regions if len(other) < len(regions[row]) for label in other}
    own = [label for label in regions[row] if label not in inner]
    return (own or list(regions[row]))[-1]
