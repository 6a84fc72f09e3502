"""Gaps between groups of one test, whoever is in both."""

import numpy as np
import pytest
import torch
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.gaps import Gaps

NAMES = ["well", "sick"]


def drawn(seed, samples, patients):
    """Scores that follow the truth, a group for each image, and patients with images in both groups."""
    rng = np.random.default_rng(seed)
    who = rng.integers(patients, size=samples)
    truth = rng.random(samples) < 0.4
    scores = 0.5 * truth + rng.normal(0, 0.4, samples) + rng.normal(0, 0.3, patients)[who]
    return who, truth, scores, rng.random(samples) < 0.5


def evaluated(who, truth, scores):
    targets = torch.tensor(truth, dtype=torch.float32)[:, None]
    found = torch.tensor(scores)[:, None]
    return ClassificationEvaluation.of("binary", NAMES, found.sigmoid(), targets, np.array(who), scores=found)


def test_groups_of_different_patients_are_independent_samples():
    _, truth, scores, group = drawn(0, 300, 300)
    whole = evaluated(np.arange(300), truth, scores)
    found = Gaps(whole, group, ~group)["auroc"]
    areas = [roc_auc_score(truth[side], scores[side]) for side in (group, ~group)]
    assert found.value == pytest.approx(areas[0] - areas[1])
    # DeLong's variance from placements, written out.
    variance = 0
    for side in (group, ~group):
        ours, theirs = scores[side & truth], scores[side & ~truth]
        wins = (ours[:, None] > theirs).astype(float)
        variance += wins.mean(1).var(ddof=1) / len(ours) + wins.mean(0).var(ddof=1) / len(theirs)
    fewest = min((side & (truth == kind)).sum() for side in (group, ~group) for kind in (True, False))
    assert (found.high - found.low) / 2 == pytest.approx(np.sqrt(variance) * t.ppf(0.975, fewest - 1))


def test_the_same_patients_with_the_same_scores_on_both_sides_differ_by_nothing_for_certain():
    _, truth, scores, _ = drawn(1, 100, 100)
    whole = evaluated([*range(100)] * 2, np.tile(truth, 2), np.tile(scores, 2))
    first = np.arange(200) < 100
    found = Gaps(whole, first, ~first)["auroc"]
    assert found[:4] == (0, 0, 0, 1)
    strangers = evaluated(range(200), np.tile(truth, 2), np.tile(scores, 2))
    assert Gaps(strangers, first, ~first)["auroc"].high > 0.05


def area(truth, scores):
    """The share of pairs in the right order, many times as quick as scikit-learn's."""
    pairs = np.sign(scores[truth][:, None] - scores[~truth])
    return (1 + pairs.mean()) / 2


def test_patients_in_both_groups_count_as_they_do_in_a_bootstrap_of_patients():
    who, truth, scores, group = drawn(2, 600, 150)
    found = Gaps(evaluated(who, truth, scores), group, ~group)["auroc"]
    rng = np.random.default_rng(3)
    images = [np.flatnonzero(who == one) for one in range(150)]
    gaps = []
    for _ in range(1500):
        rows = np.concatenate([images[one] for one in rng.integers(150, size=150)])
        sides = rows[group[rows]], rows[~group[rows]]
        gaps.append(area(truth[sides[0]], scores[sides[0]]) - area(truth[sides[1]], scores[sides[1]]))
    error = (found.high - found.low) / 2 / t.ppf(0.975, 120)
    assert error == pytest.approx(np.std(gaps), rel=0.1)


def test_means_are_over_the_labels_that_both_groups_have():
    rng = np.random.default_rng(4)
    truth = (rng.random((200, 2)) < 0.4).astype(np.float32)
    group = np.arange(200) < 100
    truth[group, 1] = 0  # nobody here has the second
    scores = torch.tensor(0.4 * truth + rng.random((200, 2)) * 0.6)
    whole = ClassificationEvaluation.of("multilabel", ["a", "b"], scores, torch.tensor(truth))
    gaps = Gaps(whole, group, ~group)
    areas = [roc_auc_score(truth[side, 0], scores[side, 0]) for side in (group, ~group)]
    assert gaps["auroc"].value == pytest.approx(areas[0] - areas[1])
    assert gaps.labels("auroc") == (1, 2)
    assert gaps["auroc/b"].why


def test_too_few_positives_have_no_interval():
    _, truth, scores, _ = drawn(5, 100, 100)
    truth[:] = False
    truth[[*range(5), *range(60, 90)]] = True
    first = np.arange(100) < 50
    found = Gaps(evaluated(range(100), truth, scores), first, ~first)["auroc"]
    assert found.why == "too few positives (5)" and np.isnan(found.low)
