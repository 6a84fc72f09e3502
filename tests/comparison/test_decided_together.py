"""Decisions of several runs together: pooled ones by their own networks, means without a decision."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import brier_score_loss, recall_score
from support.decided import classes, fitted_on, labels

from transfusion_cli.comparison.decided_together import MemberDecisions, decided_together, ensemble_columns
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.at_threshold import AtThreshold
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule


def decisions(seed, names=("x", "y"), rule=0.9):
    return fit_decisions(labels(500, names, seed=seed), fitted_on(), rule=ThresholdRule("sensitivity", rule))


def judged(made, evaluation):
    """The table that ``test`` writes, read as texts."""
    columns = {"id": np.arange(len(evaluation)), **evaluation.columns(), **made.columns(made.apply(evaluation))}
    frame = pd.DataFrame(columns).astype(str)
    return MemberDecisions.read(frame, list(made.labels))


def joined(first, second):
    parts = [torch.cat([getattr(one, name) for one in (first, second)]) for name in ("probabilities", "targets")]
    people = np.concatenate([first.patients, [f"q{name}" for name in second.patients]])
    return ClassificationEvaluation.of(first.target, first.class_names, *parts, people)


def test_pooled_folds_are_judged_by_their_own_thresholds():
    tests = [labels(300, ("x", "y"), seed=seed, each=3) for seed in (11, 12)]
    made = [decisions(1), decisions(2, rule=0.6)]
    members = [judged(*pair) for pair in zip(made, tests, strict=True)]
    found = decided_together("pooled", joined(*tests), members)
    truth = np.concatenate([one.targets[:, 1].numpy() for one in tests])
    p = np.concatenate([one.apply(test).probabilities[:, 1].numpy() for one, test in zip(made, tests, strict=True)])
    called = np.concatenate([part > one.thresholds["y"] for part, one in zip(np.split(p, 2), made, strict=True)])
    assert made[0].thresholds["y"] < made[1].thresholds["y"]
    np.testing.assert_allclose(found.columns["calibrated_y"], p)
    assert (found.columns["decision_y"] == called).all()
    assert found.results["test/calibrated_brier/y"]["value"] == pytest.approx(brier_score_loss(truth, p))
    sensitivity = found.results["test/sensitivity_at_threshold/y"]
    assert sensitivity["value"] == pytest.approx(recall_score(truth, called))
    assert found.results["test/specificity_at_threshold/y"]["value"] == pytest.approx(
        recall_score(truth, called, pos_label=0)
    )
    # Intervals are over the patients of both: those of one evaluation whose scores are the decisions.
    whole = joined(*tests)
    same = ClassificationEvaluation.of(
        "binary", ["no", "y"], torch.tensor(called)[:, None].double(), whole.targets[:, 1:]
    )
    one = AtThreshold.of(same.of_patients(whole.patients), {"y": 0.5}).intervals()["sensitivity/y"]
    assert (sensitivity["low"], sensitivity["high"]) == pytest.approx((one.low, one.high))
    assert not any("net_benefit" in key or "/threshold/" in key for key in found.results)
    assert f"{sensitivity['value']:.3f}" in found.text and "its own network" in found.title


def test_an_ensemble_has_a_mean_and_votes_and_no_decision():
    test = labels(300, ("x", "y"), seed=11)
    made = [decisions(1), decisions(2, rule=0.6), decisions(3, rule=0.3)]
    members = [judged(one, test) for one in made]
    found = decided_together("ensemble", test, members)
    p = np.mean([one.apply(test).probabilities[:, 0].numpy() for one in made], axis=0)
    np.testing.assert_allclose(found.columns["calibrated_x"], p)
    votes = np.mean([one.apply(test).probabilities[:, 0].numpy() > one.thresholds["x"] for one in made], axis=0)
    np.testing.assert_allclose(found.columns["votes_x"], votes)
    assert len(np.unique(votes)) == 4
    assert not any(name.startswith("decision") for name in found.columns)
    assert not any("threshold" in key for key in found.results)
    value = brier_score_loss(test.targets[:, 0].numpy(), p)
    assert found.results["test/calibrated_brier/x"]["value"] == pytest.approx(value)


def test_a_label_without_a_threshold_in_one_has_no_votes():
    test = labels(100, ("x", "y"), seed=11)
    few = labels(500, ("x", "y"), seed=1)
    few.targets[5:, 1] = 0
    made = [decisions(2), fit_decisions(few, fitted_on())]
    assert "y" not in made[1].thresholds
    members = [judged(one, test) for one in made]
    assert set(ensemble_columns(members, ["x", "y"])) == {"calibrated_x", "calibrated_y", "votes_x"}
    pooled = decided_together("pooled", joined(test, test), members)
    assert "decision_x" in pooled.columns and "decision_y" not in pooled.columns
    assert "test/sensitivity_at_threshold/y" not in pooled.results


def test_classes():
    tests = [classes(200, seed=seed) for seed in (1, 2)]
    tests = [test.of_patients(np.arange(200).astype(str)) for test in tests]
    made = [fit_decisions(classes(seed=seed), fitted_on()) for seed in (3, 4)]
    members = [judged(*pair) for pair in zip(made, tests, strict=True)]
    pooled = decided_together("pooled", joined(*tests), members)
    chosen = np.concatenate([test.probabilities.argmax(dim=1).numpy() for test in tests])
    assert (pooled.columns["decision"] == np.array(["a", "b", "c"])[chosen]).all()
    assert "test/calibrated_brier/chosen class" in pooled.results
    both = ensemble_columns([judged(one, tests[0]) for one in made], list("abc"))
    assert set(both) == {*(f"calibrated_{name}" for name in "abc"), *(f"votes_{name}" for name in "abc")}
    assert np.add.reduce([both[f"votes_{name}"] for name in "abc"]).tolist() == [1.0] * 200


def test_nothing_was_decided():
    frame = pd.DataFrame({"id": ["1"], "p_x": ["0.5"]})
    assert MemberDecisions.read(frame, ["x"]) is None
