"""Folds and ensembles from the command line; nobody is tested by a network that has seen them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from support.commands import mistake, transfusion
from support.decided import fitted_on, labels
from support.images import save_picture

from transfusion_cli.cli import several
from transfusion_cli.cli.several import refuse_seen
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.reports import decided
from transfusion_cli.reports.provenance import file_hash

pytestmark = pytest.mark.slow

FIT = "fit --config images_bn --data.root images --data.table table.csv --data.image_size 16 --data.augmentation null"
FIT += " --data.num_workers 0 --model.backbone cifar_resnet20 --model.pretrained false --trainer.max_epochs 1"
FIT += " --trainer.accelerator cpu --trainer.precision 32-true --checkpoint.save_last false"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two folds, two seeds on one split, and one on another split, of 48 images of 24 patients."""
    home = tmp_path_factory.mktemp("home")
    rows = []
    for number in range(48):
        save_picture(home / "images" / f"{number}.png", number, (16, 16))
        label = "sick" if number // 2 % 2 else "well"
        rows.append({"image": f"{number}.png", "label": label, "patient": f"p{number // 2}"})
    pd.DataFrame(rows).to_csv(home / "images/table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for fold in range(2):
            transfusion(f"{FIT} --name fold{fold} --data.folds 2 --data.fold {fold}")
        for seed in (1, 2):
            transfusion(f"{FIT} --name seed{seed} --seed_everything {seed}")
        transfusion(f"{FIT} --name other --data.split_seed 7")
    return home


@pytest.fixture
def home(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def read(folder):
    folder = Path(folder)
    return json.loads((folder / "results.json").read_text()), pd.read_csv(folder / "predictions_test.csv")


def test_folds_are_pooled(home, capsys):
    folder = transfusion("test fold0 fold1")
    assert folder == Path("lightning_logs/fold0/together")
    results, rows = read(folder)
    assert "Out of fold, 2 tests pooled" in capsys.readouterr().out
    assert sorted(rows["id"]) == sorted(f"{number}.png" for number in range(48))
    (column,) = [name for name in rows if name.startswith("p_")]
    truth = rows[column.replace("p_", "label_")]
    assert results["test/auroc"]["value"] == pytest.approx(roc_auc_score(truth, rows[column]))
    assert results["test/patients"]["value"] == 24 and results["provenance"]["how"] == "pooled"
    for fold in range(2):
        own = pd.read_csv(f"lightning_logs/fold{fold}/version_0/split.csv")
        (_, alone) = read(folder / f"member_{fold}")
        assert set(alone["id"]) == set(own["id"][own["split"] == "test"])
        assert not set(alone["patient"]) & set(own["patient"][own["split"] != "test"])
    assert not (Path("lightning_logs/fold0/version_0") / "results.json").exists()


def test_seeds_are_an_ensemble(home, capsys):
    folder = transfusion("test seed1 seed2 --output ours")
    results, rows = read(folder)
    assert "Ensemble of 2 networks" in capsys.readouterr().out and results["provenance"]["how"] == "ensemble"
    members = [read(folder / f"member_{number}")[1].set_index("id").loc[rows["id"]] for number in range(2)]
    (column,) = [name for name in rows if name.startswith("p_")]
    mean = np.mean([member[column] for member in members], axis=0)
    np.testing.assert_allclose(rows[column], mean, rtol=1e-6)
    assert transfusion("test seed1 seed2 --output ours") == Path("ours_1")


def test_an_ensemble_predicts_images_of_others(home):
    folder = transfusion("predict seed1 fold0 --input images --output guessed")
    rows = pd.read_csv(folder / "predictions.csv")
    (column,) = [name for name in rows if name.startswith("p_")]
    members = [pd.read_csv(folder / f"member_{number}/predictions.csv").set_index("path") for number in range(2)]
    assert len(rows) == 48
    np.testing.assert_allclose(rows[column], np.mean([one.loc[rows["path"], column] for one in members], axis=0))


def stopped(command: str, capsys) -> str:
    """What a command that had begun ended with."""
    with pytest.raises(SystemExit) as stop:
        transfusion(command)
    assert stop.value.code == 2
    return capsys.readouterr().err.rpartition("transfusion: ")[2]


def test_what_one_member_trained_on_is_in_no_test_of_an_ensemble(home, capsys, monkeypatch):
    """Not even where a user asked for no check of the split, as is right for one run on other people's images."""
    held = pd.read_csv("lightning_logs/seed1/version_0/split.csv", keep_default_na=False).set_index("id")["split"]
    frame = pd.read_csv("images/table.csv")
    frame.assign(split=held.loc[frame["image"]].to_numpy()).to_csv("images/held.csv", index=False)
    command = "test seed1 other --data.table held.csv --split data"
    assert "were trained on" in stopped(f"{command} --output refused", capsys)
    message = stopped(f"{command}_unchecked --output leak", capsys)
    assert "other was trained on" in message and "what none of them has seen" in message
    assert not Path("leak/results.json").exists()
    # Both were tested on the very same samples: nothing but this guard keeps them from being an ensemble.
    monkeypatch.setattr(several, "refuse_seen", lambda *args: None)
    folder = transfusion(f"{command}_unchecked --output unguarded")
    own = pd.read_csv("lightning_logs/other/version_0/split.csv").set_index("id")["split"]
    assert (own.loc[read(folder)[1]["id"]] == "train").any()


def test_the_guard_knows_samples_and_patients(home):
    best = Path("lightning_logs/seed1/version_0/checkpoints/best.ckpt")
    split = pd.read_csv("lightning_logs/seed1/version_0/split.csv")
    for part, guilty in {"train": True, "val": True, "test": False}.items():
        ids = split["id"][split["split"] == part].to_numpy(dtype=object)
        patients = split["patient"][split["split"] == part].to_numpy(dtype=object)
        for names, people in ((ids, None), (np.array([f"new{i}" for i in range(len(ids))], dtype=object), patients)):
            if guilty:
                with pytest.raises(UserError, match="was trained on"):
                    refuse_seen("it", best, names, people)
            else:
                refuse_seen("it", best, names, people)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("test seed1 seed1", "A run is named twice"),
        ("test seed1 nothing", "There is no run 'nothing'"),
        ("predict seed1 seed2", "add --input FOLDER"),
    ],
)
def test_mistakes(home, capsys, command, told):
    assert told in mistake(command, capsys)


def test_tests_that_overlap_are_neither(home, capsys):
    assert "of them the same" in stopped("test seed1 fold1 --output mixed", capsys)


@pytest.fixture
def decide(home):
    """Lay decisions into a run, as if they had been fitted on some samples; they are taken away afterwards."""
    written = []

    def write(run, seed, ids=None):
        folder = Path(f"lightning_logs/{run}/version_0")
        split = pd.read_csv(folder / "split.csv")
        origin = fitted_on(
            split["id"][split["split"] == "val"] if ids is None else ids,
            checkpoint_sha256=file_hash(folder / "checkpoints/best.ckpt"),
        )
        made = fit_decisions(labels(names=("well",), seed=seed), origin)
        written.append(folder / "decisions.json")
        written[-1].write_text(json.dumps(made.as_json()))
        return made

    yield write
    for path in written:
        path.unlink()


def test_pooled_cases_are_judged_by_the_decisions_of_their_own_network(home, decide, capsys):
    made = [decide(f"fold{fold}", seed=fold) for fold in range(2)]
    results, rows = read(transfusion("test fold0 fold1 --output pooled"))
    out = capsys.readouterr().out
    assert "each sample by those of its own network (thresholds by youden)" in out and "at 5 %" in out
    rows = rows.set_index("id")
    for fold, one in enumerate(made):
        split = pd.read_csv(f"lightning_logs/fold{fold}/version_0/split.csv")
        own = rows.loc[split["id"][split["split"] == "test"]]
        fit = one.calibration["well"]
        p = 1 / (1 + np.exp(-(fit.scale * np.log(own["p_well"] / (1 - own["p_well"])) + fit.shift)))
        np.testing.assert_allclose(own["calibrated_well"], p, atol=1e-6)
        assert (own["decision_well"] == (p > one.thresholds["well"])).all()
    called = rows["decision_well"][rows["label_well"] == 1]
    sensitivity = results["test/sensitivity_at_threshold/well"]
    assert sensitivity["value"] == pytest.approx(called.mean()) and sensitivity["low"] < sensitivity["high"]


def test_an_ensemble_has_the_mean_of_calibrated_probabilities(home, decide, capsys):
    decide("seed1", 1)
    results, rows = read(transfusion("test seed1 seed2 --output half"))
    assert "seed2 without decisions" in capsys.readouterr().out
    assert not any("calibrated" in name or "decision" in name for name in [*rows, *results])
    transfusion("predict seed1 seed2 --input images --output half_predicted")
    assert list(pd.read_csv("half_predicted/predictions.csv")) == ["path", "p_well"]
    decide("seed2", 2)
    results, rows = read(transfusion("test seed1 seed2 --output both"))
    members = [read(f"both/member_{number}")[1].set_index("id").loc[rows["id"]] for number in range(2)]
    transfusion("predict seed1 seed2 --input images --output predicted")
    new = pd.read_csv("predicted/predictions.csv")
    alone = [pd.read_csv(f"predicted/member_{number}/predictions.csv").set_index("path") for number in range(2)]
    for frame, each in ((rows, members), (new, [one.loc[new["path"]] for one in alone])):
        for name, source in {"p": "p", "calibrated": "calibrated", "votes": "decision"}.items():
            mean = np.mean([one[f"{source}_well"] for one in each], axis=0)
            np.testing.assert_allclose(frame[f"{name}_well"], mean, atol=1e-9)
    assert list(new) == ["path", "p_well", "calibrated_well", "votes_well"] and "decision_well" not in rows
    assert "test/calibrated_brier" in results and not any("threshold" in name for name in results)


def test_what_one_member_was_fitted_on_is_in_no_test_of_several(home, decide, capsys, monkeypatch):
    """One image of the test is enough; nothing but the guard keeps it from being judged by what was fitted to it."""
    split = pd.read_csv("lightning_logs/seed2/version_0/split.csv")
    decide("seed1", 1)
    decide("seed2", 2, ids=[split["id"][split["split"] == "test"].iloc[0], "elsewhere"])
    message = stopped("test seed1 seed2 --output fitted", capsys)
    assert "fitted on 1 of these" in message and "Nothing is tested on what it was fitted on" in message
    assert not Path("fitted/results.json").exists()
    _, rows = read(transfusion("test seed1 seed2 --split data_unchecked --output unchecked"))
    assert "seed2 without decisions" in capsys.readouterr().out and "calibrated_well" not in rows
    monkeypatch.setattr(decided, "unseen", lambda *args: True)
    assert "calibrated_well" in read(transfusion("test seed1 seed2 --output unguarded_fit"))[1]


def test_tests_on_other_data_are_no_folds():
    own = {"data": "ImageTable", "table": "a.csv"}
    several.refuse_other_data(["a", "b"], [own, dict(own)])
    for other, called in (
        ({"data": "MedMNISTDataModule", "table": None}, "MedMNIST"),
        ({**own, "table": "b.csv"}, "b.csv"),
    ):
        with pytest.raises(UserError, match=f"a was tested on a.csv, and b on {called}.*\n.*transfusion test b"):
            several.refuse_other_data(["a", "b"], [own, other])
