"""Reliability diagrams before and after calibration, and decision curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.drawing import COLORS
from transfusion_cli.files import whole_file
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.calibration_error import bins_of
from transfusion_cli.metrics.decisions.decision_curve import decision_curve
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.decisions.quality import Quality
from transfusion_cli.reports.figures import FONT, blank, framed
from transfusion_cli.versions import free_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 12
"""Labels that are drawn, those with the most positives."""
COLUMNS = 4


def write_figures(made: Decisions, evaluation: ClassificationEvaluation, folder: Path, stage: str) -> list[Path]:
    """Write ``reliability_<stage>.png`` and ``decision_curve_<stage>.png``; what is there stays.

    Args:
        made: the decisions.
        evaluation: before calibration.
        folder: where to.
        stage: ``val`` or ``test``.

    Returns:
        The files.
    """
    calibrated = made.apply(evaluation)
    figures = {
        "reliability": reliability_figure(evaluation, calibrated),
        "decision_curve": decision_curve_figure(evaluation, calibrated, made),
    }
    paths = []
    for name, figure in figures.items():
        paths.append(free_path(folder / f"{name}_{stage}.png"))
        with whole_file(paths[-1]) as file:
            figure.savefig(file, format="png", dpi=150)
    return paths


def reliability_figure(before: ClassificationEvaluation, after: ClassificationEvaluation) -> Figure:
    """The share of positives beside the mean probability, in bins of equally many cases; a panel for each label."""
    first, second = Quality.of(before), Quality.of(after)
    shown = _most_positives(first.answers & first.known, first.names)
    figure, panels = _panels(len(shown))
    for axes, at in zip(panels, shown, strict=True):
        framed(axes, "Mean probability", "Share of positives")
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
        for quality, color, label in ((first, COLORS[1], "before"), (second, COLORS[0], "after")):
            known = quality.known[:, at]
            p, truth = quality.probabilities[known, at], quality.answers[known, at].double()
            mean, share = reliability(p, truth)
            error = quality.metrics.get(f"ece/{quality.names[at]}", quality.metrics["ece"])
            told = f"{label}: ECE {error:.3f}" if math.isfinite(error) else f"{label}: undefined"
            axes.plot(mean, share, color=color, marker="o", markersize=4, linewidth=1.2, label=told)
        axes.set_title(_short(first.names[at]), fontsize=FONT)
        axes.legend(fontsize=FONT - 1, loc="upper left")
    return figure


def reliability(probabilities: Tensor, truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean probability and share of positives in each bin.

    Args:
        probabilities: float64 (N,).
        truth: float64 (N,), 0 or 1.
    """
    if not len(truth):
        return np.empty(0), np.empty(0)
    bins = bins_of(probabilities).unique(return_inverse=True)[1]
    counts = torch.bincount(bins).double()
    mean, share = (torch.bincount(bins, weights=values) / counts for values in (probabilities, truth))
    return mean.numpy(), share.numpy()


def decision_curve_figure(before: ClassificationEvaluation, after: ClassificationEvaluation, made: Decisions) -> Figure:
    """Net benefit by threshold with its 95 % band, beside acting on all and on none; a panel for each label."""
    questions = after.questions
    shown = _most_positives(questions.truth, questions.names)
    figure, panels = _panels(len(shown))
    for axes, at in zip(panels, shown, strict=True):
        name = questions.names[at]
        axes.axhline(0, color="0.3", linewidth=1, label="none")
        for evaluation, color, label in ((before, COLORS[1], "before"), (after, COLORS[0], "calibrated")):
            curve = decision_curve(evaluation, name, confidence=0.95 if evaluation is after else None)
            axes.plot(curve.thresholds, curve.benefit, color=color, linewidth=1.5, label=label)
            if evaluation is after:
                axes.fill_between(curve.thresholds, curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
                axes.plot(curve.thresholds, curve.all, color="0.6", linewidth=1, linestyle="--", label="all")
        prevalence = max(0.05, float(curve.all[0]))
        if name in made.thresholds:
            axes.axvline(made.thresholds[name], color="0.5", linewidth=1, linestyle=":", label="threshold")
        axes.set(xlabel="Threshold", ylabel="Net benefit", xlim=(0, 1), ylim=(-0.25 * prevalence, 1.15 * prevalence))
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(_short(name), fontsize=FONT)
        axes.legend(fontsize=FONT - 1)
    return figure


def _most_positives(positive: Tensor, names: Sequence[str]) -> list[int]:
    order = positive.sum(dim=0).argsort(descending=True, stable=True).tolist()
    return sorted(order[:SHOWN]) if len(names) > SHOWN else list(range(len(names)))


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(COLUMNS, max(1, count))
    rows = max(1, -(-count // columns))
    figure = blank(4.4 * columns, 3.9 * rows)
    return figure, [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
