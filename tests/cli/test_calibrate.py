"""``calibrate RUN``, then ``test`` and ``predict``, as they are typed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.commands import mistake, ran_once, transfusion

from transfusion_cli.export.decisions import decisions_of
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder

pytestmark = pytest.mark.slow

RUN = Path("lightning_logs/base/version_0")
FIT = "fit --config base.yaml --trainer.max_epochs 2 --data.train 32 --model.transfer HeadOnly"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with 120 validation images of 60 patients."""
    return ran_once(tmp_path_factory.mktemp("decided"), f"{FIT} --data.other 120")


@pytest.fixture
def home(trained, tmp_path, monkeypatch):
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "home", symlinks=True)
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def results(number=""):
    return json.loads((RUN / f"results{number}.json").read_text())


def test_from_scores_to_decisions(home, capsys, caplog):
    before = {path.name for path in RUN.iterdir()}
    transfusion(f"test {RUN}")
    assert "threshold" not in capsys.readouterr().out and "test/brier" not in results()  # nothing was fitted
    path = transfusion(f"calibrate {RUN} --threshold sensitivity=0.9")
    out = capsys.readouterr().out
    made = Decisions.read(RUN / "decisions.json")
    assert path.resolve() == (RUN / "decisions.json").resolve() and "optimistic" in out and "sensitivity=0.9" in out
    left = {path.name for path in RUN.iterdir()} - before
    assert left == {
        *("decisions.json", "reliability_val.png", "decision_curve_val.png"),
        *("results.json", "predictions_test.csv"),
        *(name for name in left if name.startswith("events")),
    }
    split = pd.read_csv(RUN / "split.csv", dtype=str, keep_default_na=False)
    validation = split[split["split"] == "val"]
    assert made.fitted_on.shares(split["id"].to_numpy(), None).tolist() == (split["split"] == "val").tolist()
    assert len(made.fitted_on.patients) == validation["patient"].nunique() and made.fitted_on.run == "base/version_0"

    transfusion(f"test {RUN}")
    out, found = capsys.readouterr().out, results("_1")
    assert "Calibration and decisions of decisions.json" in out and "at 5 %" in out
    frame = pd.read_csv(RUN / "predictions_test_1.csv")
    called, truth = frame["decision_positive"] == 1, frame["label_positive"] == 1
    logits = np.log(frame["p_positive"] / (1 - frame["p_positive"]))
    one = made.calibration["positive"]
    by_hand = 1 / (1 + np.exp(-(one.scale * logits + one.shift)))
    np.testing.assert_allclose(frame["calibrated_positive"], by_hand, atol=1e-9)
    assert (called == (by_hand > made.thresholds["positive"])).all()
    assert found["test/sensitivity_at_threshold/positive"]["value"] == pytest.approx(called[truth].mean())
    assert found["test/specificity_at_threshold/positive"]["value"] == pytest.approx((~called[~truth]).mean())
    assert found["provenance"]["decisions"] == "decisions.json"
    assert found["test/auroc"] == results()["test/auroc"]  # what it was
    assert (RUN / "reliability_test.png").is_file() and (RUN / "decision_curve_test.png").is_file()

    (home / "new").mkdir()
    for number in range(3):
        Image.fromarray(np.full((16, 16), 60 + 60 * number, dtype=np.uint8)).save(f"new/{number}.png")
    transfusion(f"predict {RUN} --input new")
    frame = pd.read_csv(RUN / "predictions.csv")
    assert list(frame) == ["path", "p_positive", "calibrated_positive", "decision_positive"] and len(frame) == 3
    transfusion(f"predict {RUN} --data.predict_split val")
    assert "fitted on 120 of these 120 val samples" in caplog.text
    assert "decision_positive" not in pd.read_csv(RUN / "predictions_1.csv")

    (group,) = transfusion("compare base")  # reads these files
    assert group.measures["test/auroc"].mean == found["test/auroc"]["value"]


def test_decisions_of_another_split_are_refused(home, capsys):
    """Its validation images are among those that the other run tests."""
    transfusion(f"calibrate {RUN}")
    transfusion(f"calibrate {RUN} --threshold 0.3 --method temperature")
    assert Decisions.read(RUN / "decisions_1.json").thresholds == {"positive": 0.3}
    transfusion("fit --config base.yaml --name other --data.train 8 --data.other 40 --model.transfer HeadOnly")
    other = Path("lightning_logs/other/version_0")
    shutil.copy(RUN / "decisions.json", other / "decisions.json")
    message = mistake(f"test {other}", capsys)
    assert "of these 40 test samples" in message and "Nothing is tested on what it was fitted on" in message
    assert not (other / "results.json").exists()


def test_mirror_images_are_asked_for_and_told(home, capsys, caplog):
    """Decisions are for one kind of prediction, and what stands beside other runs is plain."""
    transfusion(f"test {RUN}")
    assert results()["provenance"]["mirror"] is False and "mirror images" not in capsys.readouterr().out
    transfusion(f"test {RUN} --model.mirror true")
    assert "Test split, means over mirror images, 95 %" in capsys.readouterr().out
    assert results("_1")["provenance"]["mirror"] is True and results("_1")["test/loss"] != results()["test/loss"]
    record = RunRecord.read(RunFolder(RUN))
    assert record.results == results() and record.left_out == ("results_1.json",)
    transfusion("compare base")
    assert "or with mirror images: " in capsys.readouterr().out
    own = pd.read_csv(RUN / "predictions_test.csv")["p_positive"], pd.read_csv(RUN / "predictions_test_1.csv")
    assert (own[0] - own[1]["p_positive"]).abs().max() > 1e-4

    transfusion(f"calibrate {RUN} --model.mirror true")
    assert "each with its mirror image" in capsys.readouterr().out
    assert Decisions.read(RUN / "decisions.json").fitted_on.mirror
    best = RUN / "checkpoints/best.ckpt"
    assert decisions_of(best) is None and "means over mirror images" in caplog.text  # an export is plain
    caplog.clear()
    transfusion(f"test {RUN}")
    assert "--model.mirror false" in caplog.text and "test/calibrated_brier" not in results("_2")
    transfusion(f"test {RUN} --model.mirror true")
    assert "test/calibrated_brier" in results("_3") and results("_3")["provenance"]["decisions"] == "decisions.json"
    transfusion(f"calibrate {RUN}")
    transfusion(f"test {RUN}")
    assert results("_4")["provenance"]["decisions"] == "decisions_1.json"
    assert decisions_of(best) == Decisions.read(RUN / "decisions_1.json")


def test_what_cannot_be_calibrated(home, capsys):
    shutil.copy(RUN / "checkpoints/best.ckpt", "alone.ckpt")
    for command, words in {
        "calibrate": ["Which run"],
        f"calibrate {RUN} --threshold best": ["--threshold best is no rule"],
        f"calibrate {RUN} --method sigmoid": ["sigmoid"],
        f"calibrate {RUN} --output here": ["no --output"],
        f"calibrate {RUN} --split data": ["no --split"],
        f"calibrate {RUN} --treshold f1": ["treshold"],
        "calibrate nothing": ["no run 'nothing'"],
        "calibrate --config base.yaml": ["Which run"],
        "calibrate alone.ckpt --config base.yaml": ["does not lie in the folder of a run"],
    }.items():
        message = mistake(command, capsys)
        assert all(word in message for word in words), (command, message)
    assert not list(RUN.glob("decisions*"))
    with pytest.raises(SystemExit) as stop:
        transfusion("calibrate --help")
    assert stop.value.code == 0 and "sensitivity=0.95" in capsys.readouterr().out
