"""A ranking of sources that never looks at the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STATIC = "static ranking"
"""What it is called among the measures."""


def leave_one_target_out(outcomes: pd.DataFrame) -> pd.DataFrame:
    """How good each source was on all the other targets.

    That is its mean outcome there, where outcomes count from the mean of their target, so that a source which lacks an
    easy target (a data set is no source for itself) does not fall behind for that. Where every source has every target,
    the order is that of the plain means.

    Args:
        outcomes: ``source``, ``target``, ``value``; a pair once.

    Returns:
        The same columns; without sources that were on no other target.
    """
    import pandas as pd

    table = by_source(outcomes)
    table = table.sub(table.mean(axis=1), axis=0)
    elsewhere = pd.DataFrame({target: table.drop(index=target).mean() for target in table.index})
    return elsewhere.reset_index(names="source").melt("source", var_name="target").dropna(ignore_index=True)


def by_source(values: pd.DataFrame) -> pd.DataFrame:
    """``source``, ``target``, ``value`` as a table of targets by sources; what is not finite is missing."""
    return values.pivot(index="target", columns="source", values="value").replace([np.inf, -np.inf], np.nan)
