"""How well the pixels of an image are ranked, from counts of scores."""

from __future__ import annotations

import torch
from torch import Tensor

from transfusion_cli.metrics.ranking import ranking

BINS = 2**16
"""One for each number of 16 bits; their order is that of the numbers."""


def score_histogram(scores: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """How many pixels have which score, int32 (2, BINS): negatives, then positives.

    A score is rounded to 11 significant bits (half precision): two that differ by less than one part in 2,048 (below
    6e-5: by less than 6e-8) may tie, and a tie counts one half. All beyond 65,504 tie.

    Args:
        scores: float (*S), the higher the more likely positive: logits, not probabilities, which crowd at 1.
        truth: bool (*S).
        valid: bool (*S); other pixels count nowhere.
    """
    rounded = scores[valid].clamp(-65504, 65504).half() + 0.0  # -0 becomes 0
    bits = rounded.view(torch.int16).int()
    bins = torch.where(bits >= 0, bits + 2**15, -1 - bits.bitwise_and(2**15 - 1) + 2**15)
    cells = bins + BINS * truth[valid].int()
    return torch.bincount(cells.cpu(), minlength=2 * BINS).view(2, BINS).int()


def pixel_ranking(histogram: Tensor) -> tuple[Tensor, Tensor]:
    """AUROC and average precision of the pixels, float64 scalars; NaN without a positive or without a negative.

    Args:
        histogram: float64 (2, BINS), how much each score counts; the results can be differentiated by it.
    """
    positive, bins = histogram.nonzero().unbind(1)
    return ranking(bins, positive == 1, histogram[positive, bins])
