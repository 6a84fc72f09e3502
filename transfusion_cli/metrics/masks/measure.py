"""What is measured of one case: the numbers that all metrics of masks follow from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from transfusion_cli.metrics.masks.lesions import Lesions, match_lesions
from transfusion_cli.metrics.masks.surface_distance import SurfaceDistance

COLUMNS = (
    *("tp", "fp", "fn", "tn", "predicted", "voxel_volume", "diagonal", "hd95", "nsd"),
    *(f"lesions_{name}" for name in Lesions._fields),
)
"""What is measured of each class, in this order.

Known voxels by truth and prediction; all predicted voxels, the ignored ones among them; the volume of a voxel in mm^3
(2-D: its area in mm^2); the diagonal of the case in mm; and where asked for, HD95 in mm and the normalised surface
Dice, undefined where truth or prediction is empty, and counts of lesions. NaN is what was not asked for or undefined.
"""


def measure(
    predicted: Tensor,
    truth: Tensor,
    valid: Tensor,
    spacing: Sequence[float] | Tensor,
    *,
    surfaces: bool = False,
    tolerances: Sequence[float] | None = None,
    lesions: bool = False,
) -> Tensor:
    """Measure one case, each class apart: float64 (K, len(COLUMNS)), on the CPU.

    What is ignored is neither predicted nor true: a surface that leaves the known part ends there in both masks.

    Args:
        predicted: bool (K, *S), two or three axes S.
        truth: bool (K, *S).
        valid: bool (*S); other voxels count nowhere.
        spacing: mm between voxels along each axis.
        surfaces: whether to measure HD95 (and NSD, if there are tolerances), which takes longer than all the rest.
        tolerances: mm within which surfaces count as the same, of each class.
        lesions: whether to count connected parts.
    """
    steps = [float(step) for step in spacing]
    diagonal = math.hypot(*(side * step for side, step in zip(valid.shape, steps, strict=True)))
    known = int(valid.sum())
    rows = []
    for at, (guess, true) in enumerate(zip(predicted, truth, strict=True)):
        total = int(guess.sum())
        guess, true = guess & valid, true & valid
        both, guessed, positive = (int(mask.sum()) for mask in (guess & true, guess, true))
        counts = [both, guessed - both, positive - both, known - guessed - positive + both, total]
        masks = (guess.cpu().numpy(), true.cpu().numpy())
        hd95 = nsd = math.nan
        if surfaces and guessed and positive:
            surface = SurfaceDistance(*masks, steps)
            hd95 = surface.hausdorff()
            nsd = surface.within(tolerances[at]) if tolerances else nsd
        parts = match_lesions(*masks) if lesions else [math.nan] * len(Lesions._fields)
        rows.append([*counts, math.prod(steps), diagonal, hd95, nsd, *parts])
    return torch.tensor(rows, dtype=torch.float64)
