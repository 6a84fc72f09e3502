"""Losses on logits that know about unknown labels, class weights, smoothing and focusing."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target


class ClassificationLoss(nn.Module):
    """Cross-entropy of a target kind, as a sum and the weight to divide it by.

    Sum and weight are returned apart so that processes can divide by the weight of the global batch: unknown
    labels and class weights then cost nothing in exactness under DDP.

    Args:
        target: kind of target.
        class_weights: (K,) weight of each class for multiclass; (L,) weight of the positives of each label for
            binary and multilabel; (K,) weight of each grade for ordinal.
        label_smoothing: share of each target spread evenly over all classes, its own among them, or over yes and no
            (Szegedy et al. 2016), in [0, 1).
        focal_gamma: focusing exponent of the focal loss (Lin et al. 2017), 0 or more; 0 is plain cross-entropy.

    Raises:
        UserError: smoothing or exponent is out of its range.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        target: Target,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing is a share, 0 or more and under 1, not {label_smoothing}.")
        if not 0 <= focal_gamma < math.inf:
            raise UserError(f"focal_gamma is an exponent, 0 or more, not {focal_gamma}.\nTry --model.focal_gamma 2")
        self.target = target
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of a batch.

        Args:
            logits: (B, outputs).
            targets: float (B, L) with NaN unknown, or integer (B,) with -1 unknown.

        Returns:
            The summed loss and the summed weight; their ratio is the mean loss.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        match self.target:
            case "multiclass":
                return self._softmax(logits, targets)
            case "ordinal":
                return self._conditional(logits, targets)
            case _:
                known = ~targets.isnan()
                return self._sigmoid(logits, targets.nan_to_num(), known.float(), self.class_weights)

    def mean(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss; NaN where no label is known."""
        total, weight = self.forward(logits, targets)
        return total / weight

    def _softmax(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        known = targets >= 0
        targets = targets.clamp_min(0)
        weight = known.float()
        if self.class_weights is not None:
            weight = weight * self.class_weights[targets]
        log_p = logits.log_softmax(dim=1)
        loss = -log_p.gather(1, targets[:, None]).squeeze(1)
        if self.label_smoothing:
            loss = (1 - self.label_smoothing) * loss - self.label_smoothing * log_p.mean(dim=1)
        if self.focal_gamma:
            others = logits.scatter(1, targets[:, None], -torch.inf).logsumexp(dim=1)
            loss = loss * self._focus(F.logsigmoid(others - logits.gather(1, targets[:, None]).squeeze(1)))
        return (weight * loss).sum(), weight.sum()

    def _sigmoid(
        self, logits: Tensor, targets: Tensor, weight: Tensor, pos_weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        targets = targets.to(logits)  # PyTorch would take the precision of the targets for that of the loss
        smooth = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        loss = F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=pos_weight, reduction="none")
        if self.focal_gamma:
            # the probability of no where the label is yes, and of yes where it is no; in between for a soft label
            no, yes = F.logsigmoid(-logits) + targets.log(), F.logsigmoid(logits) + torch.log1p(-targets)
            loss = loss * self._focus(torch.logaddexp(no, yes))
        return (weight * loss).sum(), weight.sum()

    def _focus(self, log_wrong: Tensor) -> Tensor:
        """A power of the probability of being wrong, which is given by its logarithm.

        So its gradient is finite: below exponent 1 the power itself is infinitely steep where that probability is 0.
        Where it is 1 there is no gradient, and nothing to multiply by a loss that may be as large as numbers go.
        """
        return (self.focal_gamma * log_wrong.clamp_max(-torch.finfo(log_wrong.dtype).tiny)).exp()

    def _conditional(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # CORN: logit k is the log-odds of y > k among the samples with y >= k (Shi et al. 2021).
        thresholds = torch.arange(logits.shape[1], device=logits.device)
        weight = (targets[:, None] >= thresholds).float()
        if self.class_weights is not None:
            weight = weight * self.class_weights[targets.clamp_min(0)][:, None]
        return self._sigmoid(logits, (targets[:, None] > thresholds).float(), weight, None)


def balanced_weights(target: Target, targets: Tensor, num_classes: int) -> Tensor:
    """Class weights that balance a training set.

    Args:
        target: kind of target.
        targets: all training targets, (N, L) or (N,).
        num_classes: number of class or label names.

    Returns:
        n / (K n_k) per class for single labels (0 for an absent class); negatives / positives per label else
        (1 for a label without positives or without negatives).
    """
    if target in ("binary", "multilabel"):
        positives = (targets > 0.5).sum(0).float()
        negatives = (targets <= 0.5).sum(0).float()
        return torch.where((positives > 0) & (negatives > 0), negatives / positives, torch.ones_like(positives))
    counts = torch.bincount(targets[targets >= 0], minlength=num_classes).float()
    return torch.where(counts > 0, counts.sum() / (num_classes * counts), torch.zeros_like(counts))
