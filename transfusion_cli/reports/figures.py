"""Figures of a run, as matplotlib ``Figure`` objects that know no pyplot and leave no global state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from transfusion_cli.data.planes import three_planes
from transfusion_cli.drawing import COLORS
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.one_vs_rest import OneVsRest
from transfusion_cli.metrics.segmentation import SegmentationEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STYLES = [(color, line) for line in ("-", "--") for color in COLORS]
GREY = "0.8"
FONT = 9


@singledispatch
def evaluation_figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Figures of an evaluation by name; each kind of evaluation registers its own.

    Args:
        evaluation: of a whole split.
    """
    return {}


@evaluation_figures.register(ClassificationEvaluation)
def _(evaluation: ClassificationEvaluation) -> dict[str, Figure]:
    draw = {"ROC": roc_figure, "precision-recall": precision_recall_figure, "confusion": confusion_figure}
    return {name: figure(evaluation) for name, figure in draw.items()}


@evaluation_figures.register(SegmentationEvaluation)
def _(evaluation: SegmentationEvaluation) -> dict[str, Figure]:
    ranked = {} if evaluation.histograms is None else {"pixels": pixel_figure(evaluation)}
    return {"dice": score_figure(evaluation, "dice")} | ranked


def roc_figure(evaluation: ClassificationEvaluation) -> Figure:
    """ROC curve of each class with its area."""
    figure, axes = square("False positive rate", "True positive rate")
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
    for (ranks, truth), style in _classes(evaluation, "auroc", "AUC"):
        false_positive_rate, true_positive_rate, _ = binary_roc(ranks, truth, validate_args=False)
        axes.plot(false_positive_rate, true_positive_rate, **style)
    _legend(figure, axes, "lower right")
    return figure


def precision_recall_figure(evaluation: ClassificationEvaluation) -> Figure:
    """Precision-recall curve of each class with its average precision."""
    figure, axes = square("Recall", "Precision")
    for (ranks, truth), style in _classes(evaluation, "average_precision", "AP"):
        precision, recall, _ = binary_precision_recall_curve(ranks, truth, validate_args=False)
        axes.plot(recall, precision, drawstyle="steps-post", **style)
    _legend(figure, axes, "lower left")
    return figure


def confusion_figure(evaluation: ClassificationEvaluation) -> Figure:
    """Confusion matrix: shaded by the share of each true class, with counts; multilabel: one row a label."""
    questions, target = evaluation.questions, evaluation.target
    by_label = _confusion_by_label(questions)
    if target == "multilabel":
        rows, columns = questions.names, ["true negative", "false positive", "false negative", "true positive"]
        counts = by_label.flatten(1)
        shares = (by_label / by_label.sum(dim=2, keepdim=True)).flatten(1)
    else:
        rows = columns = list(evaluation.class_names)
        counts = by_label[0] if target == "binary" else questions.truth.T.double() @ questions.chosen.double()
        shares = counts / counts.sum(dim=1, keepdim=True)

    small = len(columns) <= 16
    figure = blank(min(9.0, 3.2 + 0.6 * len(columns)), min(9.0, 1.8 + 0.38 * len(rows)))
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, label="Share of the true class").outline.set_visible(False)
    ticks(axes.xaxis, columns, rotation=0 if sum(map(len, columns)) < 20 else 40 if small else 90)
    ticks(axes.yaxis, rows)
    if target != "multilabel":
        axes.set(xlabel="Predicted", ylabel="True")
    for row, column in ((row, column) for row in range(len(rows)) for column in range(len(columns)) if small):
        color = "white" if shares[row, column] > 0.65 else "black"
        text = f"{int(counts[row, column]):,}"
        axes.text(column, row, text, ha="center", va="center", fontsize=FONT - 2, color=color)
    return figure


def score_figure(evaluation: SegmentationEvaluation, score: str) -> Figure:
    """A score of every case by class: each case a dot, quartiles as a box; what is undefined is not there.

    Args:
        evaluation: of a split.
        score: one of ``evaluation.scores``.
    """
    names, values = evaluation.class_names, evaluation.scores[score]
    figure = blank(6, min(11.0, 1.2 + 0.5 * len(names)))
    axes = figure.add_subplot()
    for row, each in enumerate(values.T):
        known = each[each.isfinite()].sort().values
        if len(known):
            low, middle, high = known.quantile(known.new_tensor([0.25, 0.5, 0.75])).tolist()
            axes.barh(row, high - low, left=low, height=0.6, color="0.9")
            axes.plot([middle, middle], [row - 0.3, row + 0.3], color="0.3", linewidth=1.5)
            # Neighbours in rank lie apart: the golden section spreads any number of them evenly.
            offset = (torch.arange(len(known)) * 0.618 % 1 - 0.5) * 0.5
            axes.scatter(known, row + offset, s=9, color=COLORS[0], alpha=0.6, linewidths=0, zorder=3)
    counts = [int(each.isfinite().sum()) for each in values.T]
    ticks(axes.yaxis, [f"{_short(name, 20)} ({count})" for name, count in zip(names, counts, strict=True)])
    axes.set(xlabel=f"{score.capitalize()} of each case", xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5))
    axes.grid(color="0.92", axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def pixel_figure(evaluation: SegmentationEvaluation) -> Figure:
    """ROC and precision-recall curve of the pixels of all images together, with their areas."""
    figure, metrics = blank(8.4, 4.2), evaluation.metrics
    counts = torch.zeros(2, 1, dtype=torch.float64)
    if evaluation.histograms is not None and len(evaluation):
        counts = evaluation.histograms.sum(dim=0).double()
    above = counts[:, counts.any(dim=0)].flip(1).cumsum(dim=1)
    false, true = torch.cat([above.new_zeros(2, 1), above / above[:, -1:]], dim=1)
    precision = above[1] / above.sum(dim=0)
    curves = (
        ("False positive rate", "True positive rate", "auroc", false, true),
        ("Recall", "Precision", "average_precision", true[1:], precision),
    )
    for place, (xlabel, ylabel, metric, x, y) in enumerate(curves, start=1):
        axes = figure.add_subplot(1, 2, place)
        framed(axes, xlabel, ylabel)
        if math.isfinite(metrics[metric]):
            axes.plot(x, y, color=COLORS[0], linewidth=1.5)
            axes.set_title(f"{metric.replace('_', ' ')} {metrics[metric]:.3f}", fontsize=FONT)
        else:
            _undefined(axes)
    return figure


def image_grid(images: Tensor, captions: Sequence[str], columns: int = 4) -> Figure:
    """A grid of images, before normalisation, with what each shows.

    Args:
        images: uint8 or float in [0, 1], ``(B, C, H, W)``; three channels are shown as RGB, otherwise the first. Of
            volumes ``(B, C, D, H, W)`` three planes of the first channel.
        captions: B texts.
        columns: images in a row.
    """
    if images.ndim == 5:
        images = torch.stack([torch.from_numpy(three_planes(image[0].numpy())) for image in images.detach().cpu()])[
            :, None
        ]
        columns = 2
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    figure = blank(2 * columns, 2.3 * max(1, rows))
    for position, (image, caption) in enumerate(zip(images.detach().cpu(), captions, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, position)
        pixels = image / 255 if image.dtype == torch.uint8 else image.float().clamp(0, 1)
        if len(pixels) == 3:
            axes.imshow(pixels.permute(1, 2, 0).numpy())
        else:
            axes.imshow(pixels[0].numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set_title(_short(caption, 28), fontsize=FONT - 1)
        axes.set_axis_off()
    return figure


def drift_figure(drift: Mapping[str, Mapping[str, float]]) -> Figure:
    """How far each BatchNorm layer's scale and shift have moved, layer by layer.

    Args:
        drift: ``{layer: {"scale": relative change, "shift": relative change}}``, in the order of the network.
    """
    layers = list(drift)
    figure = blank(7, min(11.0, max(2.5, 1.2 + 0.19 * len(layers))))
    axes = figure.add_subplot()
    for part, color, marker in (("scale", COLORS[0], "o"), ("shift", COLORS[1], "^")):
        moved = [drift[layer][part] for layer in layers]
        axes.plot(moved, range(len(layers)), color=color, marker=marker, markersize=4.5, linewidth=0.8, label=part)
    ticks(axes.yaxis, layers, size=FONT - 2)
    axes.set(xlabel="Relative change since training began", ylim=(len(layers) - 0.5, -0.5))
    axes.set_xlim(left=0)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=2, fontsize=FONT, frameon=False)
    return figure


def _classes(
    evaluation: ClassificationEvaluation, metric: str, short: str
) -> Iterator[tuple[tuple[Tensor, Tensor], dict[str, Any]]]:
    """Yield ranks, truth and line style of each class where the metric is defined.

    The classes with the most positives are named, in their own order; the rest are grey.
    """
    questions, metrics = evaluation.questions, evaluation.metrics
    values = [metrics.get(f"{metric}/{name}", metrics[metric]) for name in questions.names]
    defined = [position for position, value in enumerate(values) if math.isfinite(value)]
    positives = questions.truth.sum(dim=0).tolist()
    named = set(sorted(defined, key=lambda position: -positives[position])[: len(STYLES)])
    styles = iter(STYLES)
    for position in defined:
        style: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "zorder": 1}
        if position in named:
            color, line = next(styles)
            label = f"{_short(questions.names[position], 26)}  {short} {values[position]:.3f}"
            style = {"color": color, "linestyle": line, "linewidth": 1.5, "label": label}
        known = questions.known[:, position]
        # torchmetrics takes scores outside of 0 to 1 for logits and squeezes them together; ranks it takes as they are
        ranks = questions.scores[known, position].unique(return_inverse=True)[1].double()
        yield (ranks / ranks.max().clamp(min=1), questions.truth[known, position].long()), style


def _confusion_by_label(questions: OneVsRest) -> Tensor:
    """Counts ``(L, 2, 2)`` of true (first) by decided answers."""
    _, _, truth, known, chosen = questions
    cells = [known & ~truth & ~chosen, known & ~truth & chosen, truth & ~chosen, truth & chosen]
    return torch.stack(cells).sum(dim=1).T.double().reshape(-1, 2, 2)


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from transfusion_cli.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def square(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """A square from 0 to 1 either way, for curves."""
    figure = blank(5, 4.6)
    axes = figure.add_subplot()
    framed(axes, xlabel, ylabel)
    return figure, axes


def framed(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Axes from 0 to 1 either way."""
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, axes: Axes, corner: Literal["lower left", "lower right"]) -> None:
    handles, _ = axes.get_legend_handles_labels()
    hidden = sum(line.get_color() == GREY for line in axes.lines)
    if len(handles) > 3:
        figure.set_figwidth(8)
        title = f"{hidden} rarer classes in grey" if hidden else None
        figure.legend(
            loc="outside right center", fontsize=FONT - 1, title_fontsize=FONT - 1, frameon=False, title=title
        )
    elif handles:
        axes.legend(fontsize=FONT, loc=corner)
    else:
        _undefined(axes)


def _undefined(axes: Axes) -> None:
    axes.text(0.5, 0.5, "undefined: no class has both\npositives and negatives", ha="center", va="center")


def ticks(axis: Axis, names: Sequence[str], rotation: float = 0, size: float = FONT, width: int = 26) -> None:
    """Name positions 0, 1, ... along an axis, at most some 40 of them."""
    step = -(-len(names) // 40)
    axis.set_ticks(range(0, len(names), step), [_short(name, width) for name in names[::step]], fontsize=size)
    if rotation:
        for label in axis.get_ticklabels():
            label.set(rotation=rotation, ha="right", va="center" if rotation == 90 else "top", rotation_mode="anchor")


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
