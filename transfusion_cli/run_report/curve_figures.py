"""Curves of a run, from its ``metrics.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_cli.reports.figures import STYLES, blank
from transfusion_cli.run_report.run_facts import RunFacts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = ("auroc", "average_precision", "balanced_accuracy", "dice", "iou", "nsd", "f1", "kappa")
"""Validation metrics that are drawn, the likeliest first, five at most beside that which checkpoints are kept by."""


def curve_figure(facts: RunFacts) -> Figure | None:
    """Losses on the left, validation metrics on the right, by optimizer step; None where nothing was logged."""
    losses = {name: facts.series(name) for name in ("train/loss_epoch", "val/loss")}
    losses = {name.removesuffix("_epoch"): points for name, points in losses.items() if points}
    monitor = facts.record.monitor
    names = [*([monitor] if monitor != "val/loss" else []), *(f"val/{name}" for name in SHOWN)]
    metrics = {name: points for name in dict.fromkeys(names) if (points := facts.series(name))}
    panels = [panel for panel in (losses, dict(list(metrics.items())[:5])) if panel]
    if not panels:
        return None
    figure = blank(4.8 * len(panels), 3.3)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        _draw(axes, panel)
        if facts.best is not None and (place == len(panels) or monitor == "val/loss"):
            axes.axvline(facts.best[1], color="0.6", linewidth=1, linestyle=":", zorder=0)
    return figure


def _draw(axes: Axes, panel: dict[str, list[tuple[int, float]]]) -> None:
    for (name, points), (color, line) in zip(panel.items(), STYLES * len(panel), strict=False):
        steps, values = zip(*points, strict=True)
        mark = "o" if len(points) < 30 else ""
        axes.plot(steps, values, color=color, linestyle=line, marker=mark, markersize=3.5, linewidth=1.4, label=name)
    axes.set(xlabel="optimizer step")
    points = [point for series in panel.values() for point in series]
    axes.set_xlim(0, 1.04 * max(step for step, _ in points))
    if "val/loss" in panel or "train/loss" in panel:
        axes.set_ylim(0, 1.08 * max(max(value for _, value in points), 1e-9))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
