"""Curves of several runs as one."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from support.predicted import predicted

from transfusion_cli.comparison.curves import GRID, curve
from transfusion_cli.metrics.classification import ClassificationEvaluation


def evaluation(seed=0, target="binary", copies=1):
    data = predicted(target, samples=300, seed=seed)
    repeated = (data.probabilities.repeat(copies, 1), data.targets.repeat(copies, 1))
    return ClassificationEvaluation.of(data.target, data.class_names, *repeated, data.patients * copies)


def test_the_mean_curve_of_one_run_is_that_of_scikit_learn():
    one = evaluation()
    found = curve([one], draws=10)
    known = one.questions.known[:, 0].numpy()
    truth, scores = one.questions.truth[known, 0].numpy(), one.questions.scores[known, 0].numpy()
    false, true, _ = sk.roc_curve(truth, scores, drop_intermediate=False)
    assert found.roc[1][1:] == pytest.approx(np.interp(GRID, false, true)[1:], abs=1e-12)
    precision, recall, _ = sk.precision_recall_curve(truth, scores)
    best_from = [precision[:-1][recall[:-1] >= at - 1e-12][-1] for at in GRID[1:]]
    assert found.precision_recall[1][1:] == pytest.approx(best_from, abs=1e-12)


@pytest.mark.parametrize("target", ["binary", "multilabel", "multiclass"])
def test_bands_hold_the_mean_and_narrow_with_patients(target):
    data = predicted(target, samples=1200)
    small = ClassificationEvaluation.of(target, data.class_names, data.probabilities[:150], data.targets[:150])
    large = ClassificationEvaluation.of(target, data.class_names, data.probabilities, data.targets)
    widths = []
    for one in (small, large):
        low, mean, high = curve([one]).roc
        inner = slice(20, 180)
        assert (low <= mean + 1e-12)[inner].mean() > 0.95 and (mean <= high + 1e-12)[inner].mean() > 0.95
        widths.append((high - low)[inner].mean())
    assert widths[1] < 0.7 * widths[0]


def test_copies_of_a_patients_images_do_not_narrow_the_band():
    low, _, high = curve([evaluation()]).roc
    low_2, _, high_2 = curve([evaluation(copies=5)]).roc
    assert (high_2 - low_2).mean() == pytest.approx((high - low).mean(), rel=1e-6)


def test_seeds_widen_it():
    data = predicted("binary", samples=300)
    noise = torch.randn(3, 300, 1, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    scores = [(data.probabilities + shift * noise[at]).clamp(0, 1) for at, shift in enumerate((0.0, 0.3, 0.6))]
    runs = [ClassificationEvaluation.of("binary", data.class_names, score, data.targets) for score in scores]
    low, mean, high = curve(runs).roc
    each = np.mean([curve([run], draws=2).roc[1] for run in runs], axis=0)
    assert mean == pytest.approx(each, abs=1e-12)
    alone = curve(runs[:1]).roc
    assert (high - low).mean() > (alone[2] - alone[0]).mean()
