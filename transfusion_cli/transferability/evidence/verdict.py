"""Whether scores beat the static ranking, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transfusion_cli.transferability.evidence.static import STATIC
from transfusion_cli.transferability.evidence.statistic import WEIGHTED_TAU

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
"""Of the tests, adjusted for all scores that are compared."""


def verdict(agreement: pd.DataFrame) -> list[str]:
    """How many scores beat the static ranking by weighted tau, then a sentence on each.

    Args:
        agreement: as of ``over_targets``.
    """
    rows = agreement[(agreement["statistic"] == WEIGHTED_TAU) & (agreement["measure"] != STATIC)]
    told = rows[rows["p_holm"].notna()]
    if told.empty:
        headline = f"Nothing shows whether a score beats the {STATIC}: that takes targets that can be compared."
    else:
        better = told.loc[(told["p_holm"] < LEVEL) & (told["difference"] > 0), "measure"]
        names = ", ".join(better) if len(better) else "No score"
        headline = f"{names} beat the {STATIC}, of {_count(len(told), 'score')} compared."
    return [headline, *map(sentence, rows.to_dict("records"))]


def sentence(row: Mapping[Any, Any]) -> str:
    """What may be said of one score: it beat the static ranking, did worse, or did not beat it.

    Args:
        row: its weighted tau, as of ``over_targets``.
    """
    name, gap, p, count = row["measure"], row["difference"], row["p_holm"], _count(row["compared"], "target")
    if not row["compared"]:
        return f"{name} cannot be compared with the {STATIC}: no target has both."
    size = f"{gap:+.3f} weighted tau"
    if math.isnan(p):
        return f"{name} is not shown to beat the {STATIC}: {size} on one target alone says nothing of others."
    how = "did not beat" if p >= LEVEL else "beat" if gap > 0 else "did worse than"
    low, high = row["difference_low"], row["difference_high"]
    interval = "the same on each" if math.isnan(low) else f"{low:+.3f} to {high:+.3f}"
    return f"{name} {how} the {STATIC}: {size} ({interval}) on {count}, p (Holm) {p:.2g}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
