from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image
from sklearn import metrics as sk
from support.predicted import metrics_of, predicted

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.probabilities import decisions
from transfusion_cli.reports import figures
from transfusion_cli.targets import TARGETS, in_words

BY_DATA = [figures.roc_figure, figures.precision_recall_figure, figures.confusion_figure]


def evaluation(data):
    return ClassificationEvaluation.of(*data.arguments)


def _pixels(figure: Figure) -> np.ndarray:
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return np.asarray(Image.open(file).convert("L"))


def _legend(figure: Figure) -> list[str]:
    legends = [*figure.legends, *(axes.legend_ for axes in figure.axes if axes.legend_)]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


@pytest.mark.parametrize("draw", BY_DATA)
@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_target_draws_and_leaves_no_global_state(draw, target) -> None:
    figure = draw(evaluation(predicted(target)))
    pixels = _pixels(figure)
    assert max(pixels.shape) < 1100
    assert 0.01 < (pixels < 250).mean() < 0.99
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("draw", BY_DATA)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("error")
def test_nothing_known_still_draws(draw, target) -> None:
    _pixels(draw(evaluation(predicted(target, samples=10, unknown=1.1))))


def test_legend_names_classes_with_their_area() -> None:
    data = predicted("multiclass")
    metrics = metrics_of(*data.arguments)
    legend = _legend(figures.roc_figure(evaluation(data)))
    assert legend == [f"class {k}  AUC {metrics[f'auroc/class {k}']:.3f}" for k in range(4)]
    legend = _legend(figures.precision_recall_figure(evaluation(data)))
    assert legend == [f"class {k}  AP {metrics[f'average_precision/class {k}']:.3f}" for k in range(4)]


@pytest.mark.parametrize("draw", [figures.roc_figure, figures.precision_recall_figure])
def test_legend_is_capped_and_names_the_frequent_classes(draw) -> None:
    data = predicted("multilabel", classes=30, unknown=0)
    data.targets[:, :16] *= data.targets.new_tensor(np.arange(200) < 100)[:, None]
    figure = draw(evaluation(data))
    assert [label.split("  ")[0] for label in _legend(figure)] == [f"class {k}" for k in range(16, 30)]
    assert figure.legends[0].get_title().get_text() == "16 rarer classes in grey"
    _pixels(figure)


def test_curve_is_sklearns() -> None:
    data = predicted("binary", unknown=0)
    line = figures.roc_figure(evaluation(data)).axes[0].lines[-1]
    x, y, _ = sk.roc_curve(data.targets[:, 0], data.probabilities[:, 0], drop_intermediate=False)
    assert np.allclose(line.get_xdata(), x) and np.allclose(line.get_ydata(), y)


def test_curves_of_a_network_too_sure_for_probabilities_follow_its_logits() -> None:
    draws = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 2, (300, 1), generator=draws).float()
    logits = 38 + 3 * targets + 3 * torch.randn(300, 1, generator=draws)
    sure = ClassificationEvaluation.of_logits("binary", ["n", "p"], logits, targets)
    roc, precision_recall = (draw(sure) for draw in (figures.roc_figure, figures.precision_recall_figure))
    x, y, _ = sk.roc_curve(targets, logits, drop_intermediate=False)
    line = roc.axes[0].lines[-1]
    assert np.allclose(line.get_xdata(), x) and np.allclose(line.get_ydata(), y)
    assert _legend(roc) == [f"p  AUC {sk.roc_auc_score(targets, logits):.3f}"]
    assert _legend(precision_recall) == [f"p  AP {sk.average_precision_score(targets, logits):.3f}"]


def test_confusion_counts_and_shares_are_sklearns() -> None:
    data = predicted("ordinal", unknown=0.2)
    known = data.targets >= 0
    chosen = decisions("ordinal", data.probabilities)
    expected = sk.confusion_matrix(data.targets[known], chosen[known])
    axes = figures.confusion_figure(evaluation(data)).axes[0]
    assert [text.get_text() for text in axes.texts] == [str(count) for count in expected.flatten()]
    assert np.allclose(axes.images[0].get_array(), expected / expected.sum(axis=1, keepdims=True))


def test_confusion_of_labels_counts_known_ones() -> None:
    data = predicted("multilabel", classes=2)
    axes = figures.confusion_figure(evaluation(data)).axes[0]
    known = ~data.targets[:, 1].isnan()
    expected = sk.confusion_matrix(data.targets[known, 1], data.probabilities[known, 1] > 0.5)
    assert [text.get_text() for text in axes.texts][4:] == [str(count) for count in expected.flatten()]


@pytest.mark.parametrize(
    ("target", "targets", "titles"),
    [
        ("binary", [[0.0], [1.0], [np.nan]], ["a", "b", "unknown"]),
        ("multiclass", [1, 0, -1], ["b", "a", "unknown"]),
        ("multilabel", [[1.0, 1.0], [0.0, np.nan], [np.nan, np.nan]], ["a, b", "none", "unknown"]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid(target, targets, titles, channels: int) -> None:
    images = torch.randint(0, 256, (3, channels, 8, 8), dtype=torch.uint8)
    figure = figures.image_grid(images, [in_words(target, ["a", "b"], one) for one in torch.tensor(targets)], columns=2)
    assert [axes.get_title() for axes in figure.axes] == titles
    shown = np.asarray(figure.axes[2].images[0].get_array()).reshape(8, 8, channels)
    assert np.allclose(shown, images[2].permute(1, 2, 0) / 255)
    _pixels(figure)


def test_drift() -> None:
    drift = {f"layer{k}.bn": {"scale": k / 10, "shift": k / 20} for k in range(53)}
    figure = figures.drift_figure(drift)
    scale, shift = figure.axes[0].lines
    assert np.allclose(scale.get_xdata(), np.arange(53) / 10) and np.allclose(shift.get_xdata(), np.arange(53) / 20)
    assert _legend(figure) == ["scale", "shift"]
    assert max(_pixels(figure).shape) < 1300
