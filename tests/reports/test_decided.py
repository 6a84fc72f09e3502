"""Nothing is tested on what it was fitted on: the guard raises, whichever way the decisions came there."""

import json
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from support.decided import classes, fitted_on, labels

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule
from transfusion_cli.reports.decided import Decided, decided_report, decided_results, decisions_for
from transfusion_cli.reports.decision_figures import write_figures
from transfusion_cli.reports.provenance import file_hash


@pytest.fixture
def run(tmp_path):
    """A run folder with a checkpoint."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    return tmp_path


def data(authority="run"):
    """Two cases of each split, of patients of their own."""
    samples = SampleTable(
        ids=np.array([f"{split}{n}" for split in ("train", "val", "test") for n in range(2)]),
        targets=np.zeros((6, 1), dtype=np.float32),
        split=np.repeat(["train", "val", "test"], 2),
        patients=np.array([f"P{n}" for n in range(6)]),
    )
    return SimpleNamespace(samples=samples, authority=authority)


def keep(run, name="decisions.json", **origin):
    """Write decisions into the run."""
    own = {"ids": ("val0", "val1"), "patients": ("P2", "P3")} | origin
    made = fit_decisions(labels(), fitted_on(**{"checkpoint_sha256": file_hash(run / "checkpoints/best.ckpt"), **own}))
    (run / name).write_text(json.dumps(made.as_json()))
    return made


def found(run, split="test", authority="run"):
    return decisions_for(str(run / "checkpoints/best.ckpt"), data(authority), split)


def test_the_newest_that_fits_is_taken(run, caplog):
    assert found(run) is None and decisions_for(None, data(), "test") is None
    keep(run)
    assert found(run).path.name == "decisions.json"
    keep(run, "decisions_1.json")
    keep(run, "decisions_2.json", checkpoint_sha256="2" * 64)  # of last.ckpt, perhaps
    assert found(run).path.name == "decisions_1.json" and not caplog.text


@pytest.mark.parametrize(
    "origin",
    [{"ids": ("val0", "test1")}, {"patients": ("P2", "P5")}, {"ids": ("test0",), "checkpoint_sha256": "2" * 64}],
)
def test_a_test_of_what_was_fitted_on_is_refused(run, origin):
    keep(run, **origin)
    with pytest.raises(UserError, match="fitted on 1 of these 2 test samples") as told:
        found(run)
    assert len(str(told.value).splitlines()) == 3 and "transfusion calibrate RUN" in str(told.value)


def test_where_others_may_bear_the_names_they_are_left_out(run, caplog):
    keep(run, ids=("test0", "test1"))
    assert found(run, authority="data_unchecked") is None
    assert "it is not used" in caplog.text


def test_predictions_of_the_validation_split_have_no_decisions(run, caplog):
    keep(run)
    assert found(run, "val") is None and "2 of these 2 val samples" in caplog.text
    assert found(run, "train") is not None and found(run, "predict") is not None


def test_another_checkpoint_is_told_what_to_type(run, caplog):
    keep(run, checkpoint_sha256="2" * 64)
    with caplog.at_level(logging.WARNING):
        assert found(run) is None
    assert "transfusion calibrate" in caplog.text and "best.ckpt, epoch 3" in caplog.text


@pytest.mark.parametrize("mirror", [True, False])
def test_decisions_are_for_one_kind_of_prediction(run, caplog, mirror):
    keep(run, mirror=not mirror)
    given = str(run / "checkpoints/best.ckpt"), data(), "test"
    assert decisions_for(*given, mirror) is None
    assert f"--model.mirror {str(mirror).lower()}" in caplog.text and "it is not used" in caplog.text
    keep(run, "decisions_1.json", mirror=mirror)
    keep(run, "decisions_2.json", mirror=not mirror)
    assert decisions_for(*given, mirror).path.name == "decisions_1.json"


def test_what_results_say(tmp_path):
    validation, test = labels(800, ("a", "b")), labels(500, ("a", "b"), seed=1, each=2)
    made = fit_decisions(validation, fitted_on(), rule=ThresholdRule("specificity", 0.9))
    results = decided_results(made, test, "test")
    p = made.apply(test).probabilities[:, 1].numpy()
    y = test.targets[:, 1].numpy()
    assert results["test/calibrated_brier/b"]["value"] == pytest.approx(brier_score_loss(y, p))
    assert results["test/calibrated_brier"]["value"] < results["test/brier"]["value"]
    slope = results["test/calibrated_calibration_slope/b"]
    assert slope["low"] < 1 < slope["high"] and slope["positives"] == y.sum()
    called, threshold = p > made.thresholds["b"], results["test/threshold/b"]["value"]
    assert threshold == made.thresholds["b"]
    found = results["test/sensitivity_at_threshold/b"]
    assert found["value"] == pytest.approx(called[y == 1].mean()) and found["low"] < found["value"] < found["high"]
    rare, common = (results[f"test/ppv_at_prevalence_{share}/b"] for share in ("0.01", "0.2"))
    assert rare["high"] < common["low"] and rare["low"] < rare["value"] < rare["high"]
    json.dumps(results, allow_nan=False)
    text = decided_report(Decided(made, tmp_path / "decisions_3.json"), results)
    assert "decisions_3.json" in text and "specificity=0.9" in text and f"{found['value']:.3f}" in text
    first, second = write_figures(made, test, tmp_path, "test"), write_figures(made, test, tmp_path, "test")
    assert [path.name for path in second] == ["reliability_test_1.png", "decision_curve_test_1.png"]
    assert all(path.stat().st_size > 10_000 for path in first)


def test_classes_and_labels_without_a_case(tmp_path):
    made = fit_decisions(classes(), fitted_on())
    results = decided_results(made, classes(seed=1), "test")
    assert results["test/calibrated_brier/chosen class"]["value"] < results["test/brier/chosen class"]["value"]
    assert not any("threshold" in name for name in results)
    assert "chosen class" in decided_report(Decided(made, tmp_path / "decisions.json"), results)
    assert write_figures(made, classes(seed=1), tmp_path, "test")
    two = labels(300, ("a", "b"))
    made = fit_decisions(two, fitted_on())
    other = labels(100, ("a", "b"), seed=1)
    other.targets[:, 0] = math.nan
    results = decided_results(made, other, "test")
    assert results["test/sensitivity_at_threshold/a"]["value"] is None
    assert results["test/ppv_at_prevalence_0.01/a"]["why"] == "too few positives (0)"
    assert write_figures(made, other, tmp_path, "test") and "undefined" in decided_report(
        Decided(made, tmp_path / "decisions.json"), results
    )
