"""What maps of several images say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.explanation.case import Explained
from transfusion_cli.explanation.redrawn import LEVELS

if TYPE_CHECKING:
    import pandas as pd

IN_WORDS = {"head": "head drawn anew", "last_stage": "and the last stage", "all": "all weights"}
"""Levels of randomisation, each with those before."""

TOO_ALIKE = 0.5
"""Mean rank correlation, after everything was drawn anew, above which maps say nothing of the network."""


def table_of(explained: Sequence[Explained], files: Sequence[str]) -> pd.DataFrame:
    """A row a case; rank correlations that are undefined are empty.

    Args:
        explained: the cases.
        files: name of the picture of each.
    """
    import pandas as pd

    rows = [
        {
            "id": one.case.id,
            "truth": one.case.truth,
            "label": one.label,
            "probability": one.probability,
            **{f"spearman_{level}": one.correlation[level] for level in LEVELS},
            "file": file,
        }
        for one, file in zip(explained, files, strict=True)
    ]
    return pd.DataFrame(rows)


def summary_of(explained: Sequence[Explained]) -> str:
    """Mean and range of the rank correlations, and how many maps are empty."""
    rows, columns = explained[0].map.shape
    many = "1 image" if len(explained) == 1 else f"{len(explained)} images"
    lines = [
        f"Maps of {many}, {rows} x {columns} cells each.",
        "Rank correlation with maps of the same network, its weights drawn anew (mean, range over images):",
    ]
    for level in LEVELS:
        known = _defined(explained, level)
        told = f"{known.mean():5.2f}  ({known.min():.2f} to {known.max():.2f})" if len(known) else "undefined"
        lines.append(f"  {IN_WORDS[level]:<20}{told}")
    empty = sum(not one.map.any() for one in explained)
    if empty:
        lines.append(f"{empty} of the maps {'is' if empty == 1 else 'are'} empty: nothing there speaks for the label.")
    return "\n".join(lines)


def warning_of(explained: Sequence[Explained]) -> str | None:
    """What to say where maps do not depend on what the network learned."""
    known = _defined(explained, "all")
    if not len(known) or known.mean() <= TOO_ALIKE:
        return None
    return (
        f"Maps stay alike (rank correlation {known.mean():.2f}) when all weights are drawn anew: they show the images "
        "and the architecture, and say nothing about what this network learned."
    )


def _defined(explained: Sequence[Explained], level: str) -> np.ndarray:
    values = np.array([one.correlation[level] for one in explained])
    return np.asarray(values[np.isfinite(values)])
