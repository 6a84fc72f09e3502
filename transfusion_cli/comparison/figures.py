"""Figures of a comparison: differences with their intervals; of classifications also curves with bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.comparison.curves import GRID, Curve, curve
from transfusion_cli.comparison.differences import Differences
from transfusion_cli.files import whole_file
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.reports.figures import STYLES, blank, square, ticks
from transfusion_cli.versions import free_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(differences: Differences, folder: Path) -> list[Path]:
    """Write ``differences.png`` and, of classifications, ``roc.png`` and ``precision_recall.png``; what is there stays.

    Differences of too few patients are not drawn.

    Args:
        differences: of two or more groups that were compared.
        folder: where to.
    """
    curves = {
        name: curve(runs)
        for name, tests in differences.tests.items()
        if (runs := [one.evaluation for one in tests if isinstance(one.evaluation, ClassificationEvaluation)])
    }
    told = any(not pair.difference.why for pair in differences.pairs)
    figures = {"differences": forest_figure(differences)} if told else {}
    figures |= {kind: band_figure(curves, kind) for kind in Curve._fields if curves}
    paths = []
    for name, figure in figures.items():
        paths.append(free_path(folder.expanduser() / f"{name}.png"))
        with whole_file(paths[-1]) as file:
            figure.savefig(file, format="png", dpi=150)
    return paths


def forest_figure(differences: Differences) -> Figure:
    """Each pair's difference that has a 95 % interval, with it, about the margin within which none would matter."""
    pairs = [pair for pair in differences.pairs if not pair.difference.why]
    figure = blank(8, 1.4 + 0.34 * len(pairs))
    axes = figure.add_subplot()
    axes.axvspan(-differences.margin, differences.margin, color="0.93", linewidth=0)
    axes.axvline(0, color="0.5", linewidth=1)
    for row, pair in enumerate(pairs):
        found, color = pair.difference, STYLES[0][0] if pair.adjusted < 0.05 else "0.45"
        axes.plot([found.low, found.high], [row, row], color=color, linewidth=2, solid_capstyle="butt")
        axes.plot(found.value, row, marker="s", color=color, markersize=6)
    ticks(axes.yaxis, [f"{pair.first} − {pair.second}" for pair in pairs], width=60)
    axes.set(ylim=(len(pairs) - 0.5, -0.5), xlabel=f"Difference in test {differences.metric}, 95 % intervals")
    axes.set_title(f"blue: p (Holm) < 0.05; grey band: ± {differences.margin:g}", fontsize=9, color="0.35")
    axes.grid(axis="x", color="0.92")
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def band_figure(curves: dict[str, Curve], kind: str) -> Figure:
    """Curves of all groups with their pointwise 95 % bands.

    Args:
        curves: by name of the group.
        kind: ``roc`` or ``precision_recall``.
    """
    labels = ("False positive rate", "True positive rate") if kind == "roc" else ("Recall", "Precision")
    figure, axes = square(*labels)
    for (name, one), (color, line) in zip(curves.items(), STYLES * len(curves), strict=False):
        low, mean, high = getattr(one, kind)
        axes.fill_between(GRID, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(GRID, mean, color=color, linestyle=line, linewidth=1.5, label=name)
    figure.set_figwidth(7.5)
    legend = {"fontsize": 8, "title": "95 % bands, pointwise", "title_fontsize": 8}
    figure.legend(loc="outside right center", frameon=False, **legend)
    return figure
