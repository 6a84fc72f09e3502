"""Losses of masks, as functions of sums over voxels: one patch, a slab of a volume or a batch are the same to them."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE, MaskTarget
from transfusion_cli.tasks.processes import differentiable_sum

Term = Literal["dice", "cross_entropy", "focal", "tversky"]
"""What a loss of masks is a sum of."""

SMOOTH = 1e-5
"""Added to both sides of the quotients, as nnU-Net does: a class that is neither there nor predicted costs nothing."""

Sums = dict[str, Tensor]


class MaskLoss(nn.Module):
    """The sum of some terms, each a mean over samples, in which what is ignored counts nowhere.

    Args:
        target: what a mask says of each voxel.
        classes: K, without background.
        regions: labels in each region, where ``target`` is ``regions``.
        terms: ``dice`` (soft Dice of the classes without background, Milletari et al. 2016), ``cross_entropy``
            (of regions: binary), ``focal`` (Lin et al. 2017), ``tversky`` (Salehi et al. 2017).
        class_weights: of cross-entropy and focal loss: K + 1 numbers, background first; of regions K weights of
            voxels inside.
        focal_gamma: focusing exponent, 0 or more.
        tversky_beta: weight of what is missed, in 0 to 1; false alarms weigh the rest. 0.5 is Dice.
        batch_dice: take Dice and Tversky over all samples of a batch together, on all processes, in place of each by
            itself; steadier where many patches show no class.

    Raises:
        UserError: a term, weight or exponent that is none.
    """

    class_weights: Tensor | None
    membership: Tensor

    def __init__(
        self,
        target: MaskTarget,
        classes: int,
        regions: Sequence[Sequence[int]] | None = None,
        terms: Sequence[Term] = ("dice", "cross_entropy"),
        class_weights: Sequence[float] | None = None,
        focal_gamma: float = 2.0,
        tversky_beta: float = 0.7,
        batch_dice: bool = False,
    ) -> None:
        super().__init__()
        if not terms:
            raise UserError("A loss has one term at least.\nTry --model.losses [dice,cross_entropy]")
        if not 0 <= focal_gamma < float("inf"):
            raise UserError(f"focal_gamma is an exponent, 0 or more, not {focal_gamma}.\nTry --model.focal_gamma 2")
        if not 0 <= tversky_beta <= 1:
            raise UserError(f"tversky_beta is a share, 0 to 1, not {tversky_beta}.\nTry --model.tversky_beta 0.7")
        expected = classes + (target == "mask")
        if class_weights is not None and len(class_weights) != expected:
            what = "background first" if target == "mask" else "one a region"
            raise UserError(f"class_weights has {len(class_weights)} numbers; these masks need {expected}, {what}.")
        self.target, self.classes, self.terms = target, classes, tuple(terms)
        self.focal_gamma, self.tversky_beta, self.batch_dice = focal_gamma, tversky_beta, batch_dice
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.register_buffer("membership", membership(classes, regions), persistent=False)

    def forward(self, outputs: Tensor | list[Tensor], target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of a batch.

        Args:
            outputs: logits (B, K + 1, *P), of regions (B, K, *P); under deep supervision a list of them, finest first,
                whose weights halve from each to the next (nnU-Net).
            target: uint8 (B, *P).

        Returns:
            The summed loss and the number of samples with a voxel that is not ignored.
        """
        levels = outputs if isinstance(outputs, list) else [outputs]
        shares = torch.tensor([0.5**level for level in range(len(levels))])
        total, weight = levels[0].new_zeros(()), levels[0].new_zeros(())
        for logits, share in zip(levels, (shares / shares.sum()).tolist(), strict=True):
            sums = self.sums(logits, shrunk(target, logits.shape[2:]))
            counted = sums["valid"] > 0
            if self.batch_dice:
                sums |= {name: _over_batch(sums[name]) for name in ("both", "predicted", "true")}
            total = total + share * (self.value(sums) * counted).sum()
            if not weight:
                weight = counted.sum().to(total)
        return total, weight

    def sums(self, logits: Tensor, target: Tensor) -> Sums:
        """What the loss of each sample follows from; sums of the parts of a sample add up to those of the whole.

        Args:
            logits: (B, K + 1, *P), or (B, K, *P) of regions.
            target: uint8 (B, *P).
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(2)
        target = target.flatten(1).long()
        known = target != IGNORE
        labels = torch.where(known, target, 0)
        found = {"valid": known.sum(1).to(logits)}
        if {"cross_entropy", "focal"} & set(self.terms):
            found |= self._entropies(logits, labels, known)
        if {"dice", "tversky"} & set(self.terms):
            chances = (logits.softmax(1)[:, 1:] if self.target == "mask" else logits.sigmoid()) * known[:, None]
            truth = self.membership[:, labels].movedim(0, 1) & known[:, None]
            both = (chances * truth).sum(2)
            found |= {"both": both, "predicted": chances.sum(2), "true": truth.sum(2).to(chances)}
        return found

    def value(self, sums: Sums) -> Tensor:
        """Loss of each sample (B,) from its ``sums``; what it is where nothing is known means nothing."""
        loss = torch.zeros_like(sums["valid"])
        for term in self.terms:
            match term:
                case "dice":
                    loss = loss + 1 - _quotient(sums, 0.5).mean(1)
                case "tversky":
                    loss = loss + 1 - _quotient(sums, self.tversky_beta).mean(1)
                case _:
                    loss = loss + sums[term] / sums["weight"].clamp_min(torch.finfo(loss.dtype).tiny)
        return loss

    def _entropies(self, logits: Tensor, labels: Tensor, known: Tensor) -> Sums:
        if self.target == "mask":
            wrong = F.cross_entropy(logits, labels, reduction="none")
            weight = known.to(wrong)
            if self.class_weights is not None:
                weight = weight * self.class_weights[labels]
        else:
            truth = self.membership[:, labels].movedim(0, 1).to(logits)
            wrong = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            weight = known[:, None].to(wrong).expand_as(wrong)
            if self.class_weights is not None:
                weight = weight * (1 + (self.class_weights[:, None] - 1) * truth)
        found = {"weight": weight.flatten(1).sum(1)}
        if "cross_entropy" in self.terms:
            found["cross_entropy"] = (weight * wrong).flatten(1).sum(1)
        if "focal" in self.terms:  # e to the minus cross-entropy is the probability of being right
            missed = -torch.expm1(-wrong).clamp_max(-torch.finfo(wrong.dtype).tiny)
            found["focal"] = (weight * missed**self.focal_gamma * wrong).flatten(1).sum(1)
        return found


def membership(classes: int, regions: Sequence[Sequence[int]] | None) -> Tensor:
    """Which labels each class or region holds: bool (K, 256)."""
    table = torch.zeros(classes, 256, dtype=torch.bool)
    for row, labels in enumerate(regions or [[label] for label in range(1, classes + 1)]):
        table[row, list(labels)] = True
    return table


def shrunk(target: Tensor, size: torch.Size) -> Tensor:
    """Masks (B, *P) at another size, by nearest neighbours."""
    if target.shape[1:] == size:
        return target
    return F.interpolate(target[:, None].float(), size=tuple(size), mode="nearest-exact")[:, 0].to(target.dtype)


def _quotient(sums: Sums, beta: float) -> Tensor:
    """Tversky's index of each class (B, K); Dice where beta is one half."""
    both = sums["both"]
    alarms, missed = sums["predicted"] - both, sums["true"] - both
    return (2 * both + SMOOTH) / (2 * (both + (1 - beta) * alarms + beta * missed) + SMOOTH)


def _over_batch(sums: Tensor) -> Tensor:
    """Sums of all samples of all processes, as those of each (B, K)."""
    return differentiable_sum(sums.sum(0)).expand_as(sums)
