"""Policies for uncertain and blank labels of report-mined data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

UncertainPolicy = Literal["ignore", "zeros", "ones", "smooth", "drop"]
BlankPolicy = Literal["zeros", "ignore"]

SMOOTH_RANGE = (0.55, 0.85)
"""Soft labels for uncertain positives (Pham et al. 2021, arXiv:1911.06475)."""

_VALUES = {"ignore": np.nan, "zeros": 0, "ones": 1}


def apply_policies(
    raw: np.ndarray, uncertain: Sequence[UncertainPolicy], blank: BlankPolicy, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Turn 1, 0, -1 (uncertain) and NaN (blank) into targets.

    Args:
        raw: values as in the file, float (N, L).
        uncertain: for each label what -1 becomes: unknown (ignore), 0 (zeros), 1 (ones), a number drawn from
            U(0.55, 0.85) that depends on seed and row alone (smooth), or a reason to leave out the row (drop).
        blank: what a label that is not mentioned becomes: 0 (zeros) or unknown (ignore).
        seed: of the soft labels.

    Returns:
        Targets float32 (N, L) with NaN for unknown, and which rows to keep, bool (N,).
    """
    targets = np.where(np.isnan(raw), np.nan if blank == "ignore" else 0.0, raw).astype(np.float32)
    keep = np.ones(len(raw), dtype=bool)
    soft = np.random.default_rng(seed).uniform(*SMOOTH_RANGE, size=raw.shape).astype(np.float32)
    for label, policy in enumerate(uncertain):
        rows = raw[:, label] == -1
        if policy == "drop":
            keep &= ~rows
        else:
            targets[rows, label] = soft[rows, label] if policy == "smooth" else _VALUES[policy]
    return targets, keep
