"""Figures of masks: how the scores of cases spread, and curves of pixels."""

import io
import math

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image
from sklearn.metrics import auc
from support.masks import blobs, evaluation

from transfusion_cli.reports.figures import evaluation_figures


def drawn(classes, cases=9, ranked=False):
    rng = np.random.default_rng(0)
    truths = [np.stack([blobs(rng, (20, 20)) for _ in range(classes)]) for _ in range(cases)]
    truths[0][-1] = False
    return evaluation([(truth ^ blobs(rng, (20, 20), 0.08), truth) for truth in truths], ranked=ranked)


def pixels(figure):
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return np.asarray(Image.open(file).convert("L"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("found", [drawn(3), drawn(1, ranked=True), drawn(2).take([]), drawn(1, ranked=True).take([])])
def test_they_draw_whatever_is_known(found):
    figures = evaluation_figures(found)
    assert set(figures) == ({"dice"} if found.histograms is None else {"dice", "pixels"})
    for figure in figures.values():
        assert 0.005 < (pixels(figure) < 250).mean() < 0.9
    assert pyplot.get_fignums() == []


def test_a_dot_for_every_case_that_has_the_class():
    found = drawn(2)
    axes = evaluation_figures(found)["dice"].axes[0]
    dots = [np.sort(np.asarray(line.get_offsets())[:, 0]) for line in axes.collections]
    for shown, values in zip(dots, found.scores["dice"].T.numpy(), strict=True):
        assert shown == pytest.approx(np.sort(values[~np.isnan(values)]))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 0 (9)", "class 1 (8)"]


def test_curves_have_their_areas():
    found = drawn(1, ranked=True)
    roc, recall = (axes.lines[0].get_xydata() for axes in evaluation_figures(found)["pixels"].axes)
    assert auc(*roc.T) == pytest.approx(found.metrics["auroc"])
    steps = np.diff(recall[:, 0], prepend=0)
    assert (steps * recall[:, 1]).sum() == pytest.approx(found.metrics["average_precision"])
    assert not math.isnan(found.metrics["auroc"])
