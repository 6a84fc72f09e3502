"""From targets as data give them to samples that scores understand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.one_vs_rest import answers, question_names
from transfusion_cli.targets import MASK_TARGETS, Target
from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


@dataclass(frozen=True, eq=False)
class View:
    """One candidate's view of images of the target, with targets as the data give them.

    Binary and multi-class targets make one sample; so do ordinal ones, as classes without their order. Multi-label
    targets make one for each label that is seen both present and absent, of the images where it is known, and the
    score is the mean over these labels. Images with an unknown class are left out, and classes without an image.

    Args:
        target: the kind of target.
        class_names: names of the classes or labels.
        targets: float (N, L) or int64 (N,).
        features: (N, D).
        source: (N, Z), probabilities of the source's own classes; None for a network without a head.
        groups: int64 (N,), which patient each image is of; None where each image is a patient.

    Raises:
        UserError: the targets are masks.
    """

    target: Target
    class_names: Sequence[str]
    targets: Tensor
    features: Tensor
    source: Tensor | None = None
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        if self.target in MASK_TARGETS:
            raise UserError(
                f"Scores rank networks by images that belong to classes; the targets of these data are {self.target}.\n"
                "Each voxel of a mask has its class, and no head input is its own.\n"
                "Give data with classes or labels."
            )

    def take(self, rows: Tensor) -> Self:
        """Some images alone."""
        parts = {name: getattr(self, name) for name in ("targets", "features", "source", "groups")}
        return replace(self, **{name: part[rows] for name, part in parts.items() if part is not None})

    @property
    def left_out(self) -> list[str]:
        """Labels that are not seen both present and absent; classes without an image."""
        truth, known = answers(self.target, self.class_names, self.targets)
        seen = (truth & known).any(dim=0)
        if self.target == "multilabel":
            seen &= (~truth & known).any(dim=0)
        names = question_names(self.target, self.class_names)
        return [name for name, one in zip(names, seen.tolist(), strict=True) if not one]

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """What to score: samples by label, or one under an empty name.

        Raises:
            UserError: there is nothing to tell apart, or the features are not finite.
        """
        truth, known = answers(self.target, self.class_names, self.targets)
        if self.target not in ("binary", "multilabel"):
            return {"": self._sample(known[:, 0], truth.int().argmax(dim=1))}
        if self.target == "binary":
            return {"": self._sample(known[:, 0], truth[:, 0].long())}
        found: dict[str, Sample] = {}
        alike: dict[bytes, Sample] = {}  # labels that are known of the same images share what features alone say
        left_out = self.left_out
        for name, yes, rows in zip(self.class_names, truth.T, known.T, strict=True):
            if name in left_out:
                continue
            key = rows.numpy().tobytes()
            labels = yes[rows].long()
            found[name] = alike[key].relabelled(labels) if key in alike else self._sample(rows, yes.long())
            alike.setdefault(key, found[name])
        if not found:
            raise UserError(
                f"None of {', '.join(self.class_names[:4])} is seen both present and absent in these images.\n"
                "A score asks how well the two are told apart.\n"
                "Take more images, or another split."
            )
        return found

    def terms(self, score: Score) -> tuple[float, ...]:
        """The terms of a score, each the mean over labels; errors as for ``samples`` and the score.

        Raises:
            UserError: also if the score looks at a head that the candidate lacks.
        """
        if score.needs_source and self.source is None:
            raise UserError(
                f"{score.title} looks at what the network says of the classes it was made for.\n"
                "This candidate has no head of its own.\n"
                "Give weights with their classifier, or choose a score that needs none."
            )
        table = [score.terms(sample) for sample in self.samples.values()]
        return tuple(sum(column) / len(column) for column in zip(*table, strict=True))

    def _sample(self, rows: Tensor, labels: Tensor) -> Sample:
        if not rows.any():
            raise UserError(
                "None of the images has a known class.\nA score looks at labelled images.\nTake another split."
            )
        source, groups = (None if part is None else part[rows] for part in (self.source, self.groups))
        return Sample(self.features[rows], labels[rows].unique(return_inverse=True)[1], source, groups)
