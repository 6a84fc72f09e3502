"""A figure of a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.drawing import COLORS
from transfusion_cli.reports.figures import blank, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from transfusion_cli.transferability.ranking import Ranking


def ranking_figure(ranking: Ranking) -> Figure:
    """The chosen score with its intervals and, where there are several, the place that each gives to each candidate."""
    measures = list(ranking.kendall.index)
    several = len(measures) > 1
    figure = blank(6.5 + (0.8 + 0.5 * len(measures) if several else 0), 1.6 + 0.36 * len(ranking.order))
    panels = figure.subplots(
        1, 2 if several else 1, squeeze=False, width_ratios=[6, 0.5 + 0.6 * len(measures)][: 1 + several]
    )
    _intervals(panels[0, 0], ranking)
    if several:
        _places(panels[0, 1], ranking, measures)
    return figure


def _intervals(axes: Axes, ranking: Ranking) -> None:
    for place, name in enumerate(ranking.order):
        row = ranking.row(name, ranking.chosen)
        axes.plot([row["low"], row["high"]], [place, place], color=COLORS[0], linewidth=2, solid_capstyle="butt")
        axes.plot(row["value"], place, marker="s", color=COLORS[0], markersize=6)
    ticks(axes.yaxis, list(ranking.order), width=46)
    axes.set(ylim=(len(ranking.order) - 0.5, -0.5), xlabel=ranking.titles[ranking.chosen])
    axes.set_title("95 % intervals over patients" if ranking.halves else "", fontsize=9, color="0.35")
    axes.grid(axis="x", color="0.92")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _places(axes: Axes, ranking: Ranking, measures: list[str]) -> None:
    table = ranking.values.reindex(index=ranking.order, columns=measures)
    places = table.rank(ascending=False, method="min").to_numpy(dtype=np.float64)
    axes.imshow(places, cmap="Blues_r", vmin=1, vmax=len(ranking.order) * 1.3, aspect="auto")
    for row, column in np.argwhere(np.isfinite(places)):
        color = "white" if places[row, column] <= len(ranking.order) / 2 else "black"
        axes.text(column, row, f"{places[row, column]:.0f}", ha="center", va="center", fontsize=8, color=color)
    ticks(axes.xaxis, [ranking.titles[name] for name in measures], rotation=40)
    axes.set_yticks([])
    axes.set_title("place by each score", fontsize=9, color="0.35")
    axes.spines[:].set_visible(False)
