"""Scores of each case from what was measured of it, and the one rule for structures that are not there."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from transfusion_cli.metrics.masks.measure import COLUMNS

Empty = Literal["undefined", "one", "zero"]
"""What Dice, IoU, NSD and HD95 are where the reference is empty.

* ``undefined``: left out, whatever was predicted; false alarms are counted apart.
* ``one``: perfect if nothing was predicted, else the worst (0; the diagonal of the case), as in many challenges.
* ``zero``: the worst if something was predicted, else left out, as nnU-Net has it.
"""

RULES: dict[Empty, str] = {
    "undefined": "they have no Dice, IoU, NSD and HD95 and are counted apart (absent, false_alarms and the median"
    " false_volume of these in mm^3, in 2-D mm^2)",
    "one": "Dice, IoU and NSD are 1 and HD95 is 0 if nothing was predicted; else 0, and HD95 the diagonal of the case",
    "zero": "Dice, IoU and NSD are 0 and HD95 is the diagonal of the case if something was predicted; else left out",
}
"""The same in words, of cases without the structure."""

MATCHES = {"": ("found", "right"), "_iou50": ("matched", "matched")}
"""What counts as a hit among true and among predicted lesions, by the ending of the metric: any overlap, or much."""

RATIOS = ("recall", "precision", "f1")


def column(measures: Tensor, name: str) -> Tensor:
    """One column (N, K) of measures (N, K, M)."""
    return measures[..., COLUMNS.index(name)]


def case_scores(measures: Tensor, empty: Empty = "undefined") -> dict[str, Tensor]:
    """Scores of each case and class by name, float64 (N, K), NaN where undefined.

    A missed structure, which is in the reference and not in the prediction, has Dice, IoU, precision and NSD 0, and as
    HD95 the diagonal of the case. Sensitivity, precision and volume error need a structure in the reference;
    specificity and accuracy need a known voxel. ``volume_error`` is the difference of the volumes, without its sign, in
    volumes of the reference; ``background_accuracy`` the accuracy of a prediction that holds nothing.

    Args:
        measures: float64 (N, K, M), from :func:`transfusion_cli.metrics.masks.measure.measure`.
        empty: what holds where the reference is empty.
    """
    tp, fp, fn, tn, diagonal = (column(measures, name) for name in ("tp", "fp", "fn", "tn", "diagonal"))
    true, guessed, known = tp + fn, tp + fp, tp + fp + fn + tn
    there, nothing = true > 0, known == 0
    missed = there & (guessed == 0)

    def share(part: Tensor, whole: Tensor, where: Tensor) -> Tensor:
        return torch.where(where, part / whole.clamp(min=1), torch.nan)

    overlaps: dict[str, tuple[Tensor, float, float | Tensor]] = {
        "dice": (share(2 * tp, true + guessed, there), 1, 0),
        "iou": (share(tp, true + fp, there), 1, 0),
        "hd95": (torch.where(missed, diagonal, column(measures, "hd95")), 0, diagonal),
        "nsd": (torch.where(missed, 0, column(measures, "nsd")), 1, 0),
    }
    scores: dict[str, Tensor] = {}
    for name, (values, best, worst) in overlaps.items():
        if empty != "undefined":
            values = torch.where(~there & (guessed > 0), torch.as_tensor(worst), values)
        if empty == "one":
            values = torch.where(~there & ~nothing & (guessed == 0), best, values)
        scores[name] = values
    return scores | {
        "sensitivity": share(tp, true, there),
        "specificity": share(tn, tn + fp, tn + fp > 0),
        "precision": share(tp, guessed, there),
        "accuracy": share(tp + tn, known, ~nothing),
        "background_accuracy": share(tn + fp, known, ~nothing),
        "volume_error": share((fp - fn).abs(), true, there),
    }


def lesion_scores(measures: Tensor) -> dict[str, Tensor]:
    """Recall, precision and F1 of lesions, shaped as ``measures`` without its last axis; NaN where undefined.

    F1 is the harmonic mean of the other two. Where something is in the reference but nothing was predicted precision is
    0; where nothing is in the reference nothing is defined.

    Args:
        measures: float64 (..., M) with counts of lesions, of cases or sums over cases.
    """
    true, predicted = (column(measures, f"lesions_{name}") for name in ("true", "predicted"))
    scores: dict[str, Tensor] = {}
    for ending, hits in MATCHES.items():
        found, right = (column(measures, f"lesions_{name}") for name in hits)
        tiny = torch.finfo(torch.float64).tiny
        recall = torch.where(true > 0, found / true.clamp(min=tiny), torch.nan)
        precision = torch.where(true > 0, right / predicted.clamp(min=tiny), torch.nan)
        f1 = 2 * recall * precision / (recall + precision).clamp(min=tiny)
        scores |= {f"lesion_{name}{ending}": v for name, v in zip(RATIOS, (recall, precision, f1), strict=True)}
    return scores
