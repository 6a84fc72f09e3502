"""The splits of CheXpert's training table that two papers used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from transfusion_cli.data.protocols import repeat
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.errors import UserError

DECIDED: dict[str, dict[str, Any]] = {
    "official": {},
    "partial_transfusion": {
        "labels": "five",
        "views": "frontal",
        "projection": None,
        "uncertain": "drop",
        "blank": "zeros",
        "labeler": "chexpert",
        "test_set": "valid",
    },
    "transfusion": {
        "labels": "five",
        "views": "all",
        "projection": None,
        "uncertain": "mixed",
        "blank": "zeros",
        "labeler": "chexpert",
        "test_set": "valid",
    },
}
"""Options that a protocol decides."""

PER_LABEL: dict[Split, int] = {"train": 2000, "val": 150, "test": 200}
"""Images that Kanavati & Tsuneki draw for each label, in each split."""

TRANSFUSION_IMAGES = 50_000
"""Training images, and test images, of the later public code of authors of Transfusion (Neyshabur et al. 2020)."""


def settle(protocol: str, **options: Any) -> dict[str, Any]:
    """The options as the protocol has them.

    Raises:
        UserError: an option is set otherwise than the protocol has it.
    """
    decided = DECIDED[protocol]
    for name, value in options.items():
        if name in decided and value not in (None, decided[name]):
            raise UserError(
                f"{name}: protocol {protocol} has {decided[name]!r}, not {value!r}\n"
                f"Leave out --data.{name}, or take --data.protocol official"
            )
    return options | decided


def partial_transfusion(table: SampleTable, literal: bool, seed: int) -> SampleTable:
    """Split as Kanavati & Tsuneki (2021): 49/21/30 % of the patients, then as many images for each label.

    With ``seed`` 0 and the rows in the order of train.csv the training and test images are the paper's own: the draws
    are those of its code (pandas' ``sample``, which is a ``choice`` of NumPy's older generator).

    Args:
        table: all rows in ``train``, with the six labels that rows are drawn by, No Finding first.
        literal: draw validation images from the training patients too, as the paper's code does.
        seed: of the draws.

    Returns:
        The table with its splits, without the label No Finding.
    """
    assert table.patients is not None
    _, first, codes = np.unique(table.patients, return_index=True, return_inverse=True)
    everyone = np.argsort(first)  # patients in the order of the file
    test = _draw(everyone, round(0.3 * len(everyone)), seed)
    others = everyone[~np.isin(everyone, test)]
    val = _draw(others, round(0.3 * len(others)), seed)
    train = others[~np.isin(others, val)]
    table.split[:] = ""
    pools: dict[Split, np.ndarray] = {"train": train, "val": train if literal else val, "test": test}
    chosen = {
        split: _per_label(table.targets, codes, np.isin(codes, patients), PER_LABEL[split], seed)
        for split, patients in pools.items()
    }
    leaked = chosen.pop("val") if literal else None
    for split, rows in chosen.items():
        table.split[rows] = split
    table = replace(table, targets=table.targets[:, 1:])
    return table if leaked is None else repeat(table, np.sort(leaked), "val")


def _per_label(targets: np.ndarray, patients: np.ndarray, pool: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Rows drawn for each label that they have, and once more for the first; a patient's equal rows count once."""
    draws = [(label, seed + label) for label in range(targets.shape[1])]
    draws.append((0, draws[-1][1]))
    drawn = np.concatenate([_draw(np.flatnonzero(pool & (targets[:, label] == 1)), size, s) for label, s in draws])
    _, first = np.unique(np.column_stack([targets[drawn], patients[drawn]]), axis=0, return_index=True)
    return drawn[first]


def _draw(values: np.ndarray, size: int, seed: int) -> np.ndarray:
    return values[np.random.RandomState(seed).choice(len(values), min(size, len(values)), replace=False)]
