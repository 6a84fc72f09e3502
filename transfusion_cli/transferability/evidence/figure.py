"""A figure of how well scores agree with outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.drawing import COLORS
from transfusion_cli.transferability.evidence.static import STATIC
from transfusion_cli.transferability.evidence.statistic import WEIGHTED_TAU
from transfusion_cli.transferability.evidence.verdict import LEVEL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def agreement_figure(found: Mapping[str, pd.DataFrame]) -> Figure:
    """Weighted tau of every score with its 95 % interval, beside that of the static ranking.

    Args:
        found: by what is chosen, as of ``over_targets``.
    """
    from transfusion_cli.reports.figures import blank

    panels = {name: rows[rows["statistic"] == WEIGHTED_TAU] for name, rows in found.items()}
    height = max(map(len, panels.values()))
    figure = blank(5.5 * len(panels), 1.4 + 0.34 * height)
    for axes, (name, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _panel(axes, rows)
        axes.set_title(f"choosing the {name}", fontsize=9, color="0.35")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    from transfusion_cli.reports.figures import ticks

    axes.axvline(0, color="0.5", linewidth=1)
    for place, row in enumerate(rows.to_dict("records")):
        static, told = row["measure"] == STATIC, row["p_holm"] < LEVEL
        color = COLORS[1] if static else COLORS[0] if told else "0.45"
        if static:
            axes.axvspan(row["low"], row["high"], color=color, alpha=0.1, linewidth=0)
            axes.axvline(row["value"], color=color, linewidth=1, linestyle=":")
        axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=2, solid_capstyle="butt")
        axes.plot(row["value"], place, marker="s", color=color, markersize=6)
    ticks(axes.yaxis, list(rows["measure"]))
    ends = rows[["value", "low", "high"]].to_numpy(dtype=np.float64)
    left, right = (np.nanmin(ends), np.nanmax(ends)) if np.isfinite(ends).any() else (0, 0)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(min(left, 0) - 0.05, max(right, 0) + 0.05))
    axes.set_xlabel(f"weighted tau; blue: unlike the static ranking, p (Holm) < {LEVEL:g}", fontsize=8)
    axes.grid(axis="x", color="0.92")
    axes.spines[["top", "right", "left"]].set_visible(False)
