"""Rankings that never look at the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns

if TYPE_CHECKING:
    import pandas as pd


def read_static(path: Path) -> pd.DataFrame:
    """Evidence of the user's own, such as what each source gave on other targets.

    Args:
        path: a table with the columns ``source`` and ``value``, of which more is better, a row for each source or for
            several targets that it was tried on.

    Returns:
        ``source`` and ``value``, the mean over the rows of a source.

    Raises:
        UserError: it cannot be read, lacks a column, or holds a value that is no number.
    """
    frame = read_table(path.expanduser())
    require_columns(frame, ["source", "value"], path)
    values = numbers(frame["value"])
    refuse(np.isnan(values), frame["value"].fillna(""), "value", path, "numbers with a point")
    means = frame.assign(value=values).groupby("source", sort=False)["value"].mean()
    return means.reset_index()


def named_alike(frame: pd.DataFrame, candidates: Sequence[str]) -> pd.DataFrame:
    """Rows of a table by the names of the candidates that its sources mean; a source that is no candidate stays.

    A candidate is called by the name of its file alone, and each draw of random weights by its seed, where runs say
    whole paths and no seed; an architecture with its usual weights goes with or without their tag.

    Args:
        frame: with the column ``source``.
        candidates: their names.
    """
    import pandas as pd

    parts = []
    for source, rows in frame.groupby("source", sort=False):
        own = str(source)
        meant = [own] if own in candidates else [name for name in candidates if _means(own, name)]
        parts += [rows.assign(source=name) for name in meant or [own]]
    return pd.concat(parts, ignore_index=True) if parts else frame


def _means(source: str, candidate: str) -> bool:
    architecture, equals, weights = candidate.partition("=")
    other, also, theirs = source.partition("=")
    if not equals and not also:
        return _full(architecture) == _full(other)
    drawn = theirs == "random" and weights.startswith("random:")
    return architecture == other and (drawn or Path(theirs).name == weights)


def _full(name: str) -> str:
    """An architecture with the tag of its usual weights."""
    from timm.models import get_pretrained_cfg, is_model

    config = get_pretrained_cfg(name) if is_model(name.partition(".")[0]) else None
    return f"{config.architecture}.{config.tag}" if config is not None and config.tag else name
