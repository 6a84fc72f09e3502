"""What a score looks at."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.scores.svd import thin_svd

CONSTANT = 1e-10
"""Images whose features spread by less than this share of the largest feature look the same."""

ROUNDED = 0.05
"""How far probabilities of many classes may be from 1 in sum, in bfloat16."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One candidate's view of N images of the target. Numbers become float64; nothing that is given is changed.

    Args:
        features: (N, D), what the head would get, raw.
        labels: int64 (N,), 0 ... K-1, each at least once.
        source: (N, Z), probabilities of the source's own classes; None for a network without a head.
        groups: int64 (N,), which patient each image is of; None where each image is a patient.
        shared: what was worked out of the features alone; samples that differ in their labels have it in common.

    Raises:
        UserError: a feature or probability is not finite, there is one class only, no class has two images, or all
            images have the same features.
        ValueError: ``source`` holds something else than probabilities.
    """

    features: Tensor
    labels: Tensor
    source: Tensor | None = None
    groups: Tensor | None = None
    shared: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, what in (("features", "features"), ("source", "probabilities of the source's classes")):
            if (values := getattr(self, name)) is None:
                continue
            object.__setattr__(self, name, values.detach().cpu().double())
            _all_finite(getattr(self, name), what)
        if self.source is not None and (self.source.sum(dim=1) - 1).abs().max() > ROUNDED:
            raise ValueError("rows of `source` are not probabilities: is it logits?")
        if self.classes < 2:
            raise UserError(
                f"All {len(self.labels)} images to score with are of one class.\n"
                "A score asks how well classes are told apart, and takes two.\n"
                "Take more images, or another split."
            )
        if len(self.labels) <= self.classes:
            raise UserError(
                f"There is one image of each of the {self.classes} classes to score with.\n"
                "A score asks how far images of one class are alike.\n"
                "Take more images, or another split."
            )
        if self.features.std(dim=0).max() <= CONSTANT * self.features.abs().max():
            raise UserError(
                f"All {len(self.labels)} images have the same features.\n"
                "The network does not answer to what it sees.\n"
                "Leave this candidate out, or look at its weights and at the preprocessing of the data."
            )

    def relabelled(self, labels: Tensor) -> Self:
        """The same images under other labels, sharing what was worked out of the features."""
        return replace(self, labels=labels)

    @property
    def classes(self) -> int:
        """K."""
        return int(self.labels.max()) + 1

    @property
    def counts(self) -> Tensor:
        """Images of each class: float64 (K,)."""
        return torch.bincount(self.labels).double()

    @property
    def answers(self) -> Tensor:
        """One column a class, 1 where an image belongs: float64 (N, K)."""
        return F.one_hot(self.labels, self.classes).double()

    @property
    def patients(self) -> Tensor:
        """Which patient each image is of: int64 (N,), 0 ... P-1."""
        images = torch.arange(len(self.labels)) if self.groups is None else self.groups
        codes: Tensor = images.unique(return_inverse=True)[1]
        return codes

    def means(self, values: Tensor) -> Tensor:
        """The mean of each class: (K, d) of (N, d)."""
        return self.answers.T @ values / self.counts[:, None]

    @property
    def raw(self) -> tuple[Tensor, Tensor]:
        """Left singular vectors and singular values of the features as they are (see ``thin_svd``)."""
        if "raw" not in self.shared:
            self.shared["raw"] = thin_svd(self.features)
        return self.shared["raw"]

    @property
    def centred(self) -> tuple[Tensor, Tensor]:
        """Left singular vectors and singular values of the features less their mean (see ``thin_svd``)."""
        if "centred" not in self.shared:
            self.shared["centred"] = thin_svd(self.features - self.features.mean(dim=0))
        return self.shared["centred"]

    @property
    def principal(self) -> Tensor:
        """The features less their mean along their principal directions, widest first: (N, r).

        A rotation into the r <= min(N - 1, D) directions in which they vary: distances and angles stay as they are.
        """
        left, values = self.centred
        return left * values


def _all_finite(values: Tensor, what: str) -> None:
    wrong = int((~values.isfinite().all(dim=1)).sum())
    if wrong:
        raise UserError(
            f"{wrong} of {len(values)} images have {what} that are NaN or infinite.\n"
            "The weights of the candidate are damaged, or its activations too large for their type.\n"
            "Leave it out, or look at its weights."
        )
