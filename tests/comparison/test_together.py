"""Tests of several runs as one: folds pooled, and means of probabilities."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from support.masks import evaluation, squares

from transfusion_cli.comparison import tested as file
from transfusion_cli.comparison.together import together
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation

NAMES = ["well", "sick"]


def one_run(ids, scores, truth, patients=None, name="a test", names=NAMES):
    found = torch.tensor(np.asarray(scores, dtype=float))[:, None]
    targets = torch.tensor(np.asarray(truth), dtype=torch.float32)[:, None]
    made = ClassificationEvaluation.of("binary", names, found, targets, patients)
    return file.Tested(name, made, np.array(ids, dtype=object))


RNG = np.random.default_rng(0)
TRUTH = RNG.random(90) < 0.5
SCORES = [np.clip(0.3 * TRUTH + 0.7 * RNG.random(90), 0, 1) for _ in range(3)]
IDS = np.array([f"{number}.png" for number in range(90)], dtype=object)
PEOPLE = np.array([f"p{number // 3}" for number in range(90)], dtype=object)


def test_folds_are_pooled_with_intervals_over_all_patients():
    parts = np.array_split(np.arange(90), 3)
    tests = [one_run(IDS[rows], SCORES[0][rows], TRUTH[rows], PEOPLE[rows], f"test {rows[0]}") for rows in parts]
    found = together(tests, "abc")
    assert found.how == "pooled" and found.ids.tolist() == IDS.tolist()
    whole = one_run(IDS, SCORES[0], TRUTH, PEOPLE).evaluation
    assert found.evaluation.metrics["auroc"] == pytest.approx(roc_auc_score(TRUTH, SCORES[0]))
    assert found.evaluation.intervals()["auroc"] == whole.intervals()["auroc"]
    assert found.evaluation.estimates["auroc"].patients == whole.estimates["auroc"].patients


def test_patients_are_known_for_all_or_for_none():
    parts = np.array_split(np.arange(90), 2)
    people = (PEOPLE[:45], None)
    tests = [one_run(IDS[at], SCORES[0][at], TRUTH[at], who, "x") for at, who in zip(parts, people, strict=True)]
    assert together(tests, "ab").evaluation.patients is None


def test_seeds_are_an_ensemble():
    tests = [one_run(IDS, scores, TRUTH, PEOPLE) for scores in SCORES]
    found = together(tests, "abc")
    assert found.how == "ensemble"
    mean = np.mean(SCORES, axis=0)
    np.testing.assert_allclose(found.evaluation.probabilities[:, 0].numpy(), mean)
    assert found.evaluation.metrics["auroc"] == pytest.approx(roc_auc_score(TRUTH, mean))


def test_overlapping_tests_and_other_labels_are_refused():
    rows = np.arange(60)
    tests = [one_run(IDS, SCORES[0], TRUTH), one_run(IDS[rows], SCORES[1][rows], TRUTH[rows], name="another")]
    with pytest.raises(UserError, match="90 and 60 samples, 60 of them the same"):
        together(tests, "ab")
    others = [one_run(IDS, SCORES[0], TRUTH), one_run(IDS, SCORES[1], ~TRUTH, name="other labels")]
    with pytest.raises(UserError, match="or with other labels"):
        together(others, "ab")
    named = [one_run(IDS, SCORES[0], TRUTH), one_run(IDS, SCORES[1], TRUTH, names=["benign", "malignant"])]
    with pytest.raises(UserError, match="do not predict the same labels"):
        together(named, "ab")


def test_masks_are_not_for_this():
    pair = squares()
    masks = file.Tested("m", evaluation([(pair[:1], pair[1:])]), np.arange(1).astype(object))
    with pytest.raises(UserError, match="are for labels"):
        together([masks, masks], ["one", "two"])
