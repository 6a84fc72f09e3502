"""AUROC and average precision from counts of scores, against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from transfusion_cli.metrics.masks.pixel_ranking import BINS, pixel_ranking, score_histogram


def pixels(seed=0, count=5000):
    """Scores and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.15
    return torch.tensor(3 * rng.standard_normal(count) + 4 * truth, dtype=torch.float32), torch.tensor(truth)


def test_it_is_that_of_all_pixels():
    scores, truth = pixels()
    valid = torch.ones_like(truth)
    exact = scores.half().float()
    histogram = score_histogram(exact, truth, valid)
    assert histogram.shape == (2, BINS) and histogram.sum() == len(scores)
    areas = [area.item() for area in pixel_ranking(histogram.double())]
    assert areas == pytest.approx([roc_auc_score(truth, exact), average_precision_score(truth, exact)], abs=1e-12)
    rounded = [area.item() for area in pixel_ranking(score_histogram(scores, truth, valid).double())]
    assert rounded == pytest.approx([roc_auc_score(truth, scores), average_precision_score(truth, scores)], abs=2e-4)


def test_what_is_ignored_counts_nowhere():
    scores, truth = pixels()
    valid = torch.arange(len(truth)) % 3 > 0
    apart = score_histogram(scores[valid], truth[valid], torch.ones(int(valid.sum()), dtype=torch.bool))
    assert score_histogram(scores, truth, valid).equal(apart)


def test_images_together():
    parts = [pixels(seed, 2000) for seed in range(3)]
    known = torch.ones(2000, dtype=torch.bool)
    sums = sum(score_histogram(scores, truth, known) for scores, truth in parts)
    whole = score_histogram(*(torch.cat(each) for each in zip(*parts, strict=True)), known.repeat(3))
    assert sums.equal(whole)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40))
def test_the_order_of_scores_is_kept(values):
    scores = torch.tensor(values).sort().values
    one = torch.ones(1, dtype=torch.bool)
    bins = [int(score_histogram(score[None], one, one)[1].argmax()) for score in scores]
    assert bins == sorted(bins)
    apart = (scores[1:] - scores[:-1] > 2**-10 * scores.abs().max(dim=0).values) & (scores.abs().max() < 60000)
    for at in apart.nonzero().flatten().tolist():
        assert bins[at] < bins[at + 1] or scores.abs().max() < 1e-3


def test_zero_is_zero_from_either_side():
    one = torch.ones(3, dtype=torch.bool)
    histogram = score_histogram(torch.tensor([0.0, -0.0, -1e-12]), one, one)
    assert histogram.max() == 3


def test_one_side_alone_is_undefined():
    scores, truth = pixels()
    known = torch.ones_like(truth)
    for side in (truth, ~truth):
        alone = score_histogram(scores[side], truth[side], known[side])
        assert all(area.isnan() for area in pixel_ranking(alone.double()))
    assert all(area.isnan() for area in pixel_ranking(torch.zeros(2, BINS, dtype=torch.float64)))
