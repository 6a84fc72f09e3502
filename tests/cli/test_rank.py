"""``transfusion rank`` as people type it, on seconds' worth of data."""

import json
import re
import signal

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from support.commands import mistake, transfusion, write_configs
from support.medmnist import build_medmnist
from support.networks import randomised
from support.processes import Process

from transfusion_cli.cli import completion, rank

pytestmark = pytest.mark.slow

SOURCES = "cifar_resnet20=trained.pth cifar_resnet20.textures cifar_resnet32=random:1"
RANK = f"rank --config base.yaml --features kept --candidates {SOURCES}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Configs, weights and one run."""
    folder = tmp_path_factory.mktemp("home")
    write_configs(folder)
    torch.save(randomised().state_dict(), folder / "trained.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transfusion("fit --config base.yaml --name bn --model.pretrained trained.pth --model.transfer ACNorm")
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def test_a_ranking_and_what_it_leaves(capsys):
    folder = transfusion(f"{RANK} --score knn logme leep ncti --ac_corr 2 --halves 4 --data.batch_size 8")
    said = capsys.readouterr().out
    assert folder.as_posix() == "ranking/base"
    names = {"scores.csv", "candidates.csv", "kendall.csv", "ranking.json", "ranking.png", "ranking.svg", "ranking.txt"}
    assert {path.name for path in folder.iterdir()} == names | {"winner.yaml"}
    assert (folder / "ranking.txt").read_text().strip() in said
    scores = pd.read_csv(folder / "scores.csv", keep_default_na=False, na_values=[""])
    assert list(scores.columns[:4]) == ["source", "target", "measure", "value"] and set(scores["target"]) == {"Tiny"}
    assert set(scores["measure"]) == {"knn", "logme", "leep", "ncti", "ac_corr", "parameters"}
    knn = scores[scores["measure"] == "knn"]
    assert knn["value"].is_monotonic_decreasing and (knn["low"] <= knn["high"]).all()
    about = json.loads((folder / "ranking.json").read_text())
    assert about["order"] == knn["source"].tolist() and about["halves"] == 4
    assert about["ac_corr"] == {"steps": 2, "lr": 1e-3, "seed": 0, "optimizer": "Adam", "batch_size": 8, "taken": 2}
    facts = pd.read_csv(folder / "candidates.csv").set_index("source")
    assert facts["source_classes"].to_dict() == {
        "cifar_resnet20=trained.pth": 10,
        "cifar_resnet20.textures": 20,
        "cifar_resnet32=random:1": 0,
    }
    beside = facts.loc["cifar_resnet20=trained.pth"]
    assert 0 < beside["ac_corr_baseline"] != beside["ac_corr"] and beside["ac_corr_update"] > 0
    for told in ("No LEEP of cifar_resnet32=random:1", "No AC-Corr of cifar_resnet32=random:1", "Kendall's tau"):
        assert told in said
    assert re.search(r"16 images of 8 patients \(train\)", said)
    assert (folder / "ranking.png").stat().st_size > 5000


def test_the_same_again_reads_what_was_kept(capsys):
    first = transfusion(f"{RANK} --out again")
    capsys.readouterr()
    second = transfusion(f"{RANK} --out again")
    assert (first.name, second.name) == ("again", "again_1")
    assert capsys.readouterr().err.count("as kept from before") == 3
    assert (first / "scores.csv").read_text() == (second / "scores.csv").read_text()
    other = transfusion(f"{RANK} --data.image_size 24")
    assert capsys.readouterr().err.count("as kept from before") == 0
    assert pd.read_csv(other / "candidates.csv")["input"].tolist() == ["24 x 24"] * 3


@pytest.mark.parametrize("first", ["cifar_resnet20=trained.pth", "cifar_resnet20.textures", "lightning_logs/bn/latest"])
def test_the_winner_s_config_runs(first, capsys):
    folder = transfusion(f"rank --config bn.yaml --features kept --candidates {first} --halves 0 --score logme")
    config = yaml.safe_load((folder / "winner.yaml").read_text())["model"]["init_args"]
    assert config["transfer"]["class_path"].endswith("BatchNormAffine"), "the rest stays"
    capsys.readouterr()
    cli = transfusion(f"check --config {folder / 'winner.yaml'}")
    assert "One batch went forward" in capsys.readouterr().out
    assert cli.model.transferred.weights_report.complete
    assert cli.model.backbone == (first.partition("=")[0] if "cifar" in first else "cifar_resnet20")


def test_a_run_s_weights_are_kept_for_its_winner():
    command = "rank --config base.yaml --features kept --score logme --candidates"
    two = transfusion(f"{command} lightning_logs/bn/version_0 random:1")
    assert pd.read_csv(two / "candidates.csv")["source"].tolist() == ["bn/0", "random:1"]
    alone = transfusion(f"{command} lightning_logs/bn/version_0")
    config = yaml.safe_load((alone / "winner.yaml").read_text())["model"]["init_args"]
    assert config["pretrained"].endswith("winner.safetensors")
    # With what the run made of it, the new candidate sees what the run itself sees.
    again = transfusion(f"{command} {config['backbone']}={config['pretrained']}")
    first, second = (
        pd.read_csv(one / "scores.csv").query("measure == 'logme'")["value"].item() for one in (alone, again)
    )
    assert second == pytest.approx(first, rel=1e-6)


def test_a_cached_head_finds_the_features_of_its_ranking(home, capsys):
    transfusion("rank --config base.yaml --features shared --candidates cifar_resnet20=trained.pth --score logme")
    before = {path.name for path in (home / "shared").glob("*.npy")}
    head = "--model.transfer HeadOnly --model.transfer.cache shared --data.augmentation null"
    transfusion(f"fit --config base.yaml --name head --model.pretrained trained.pth {head}")
    assert "Features of the train split: found in" in capsys.readouterr().err
    added = {path.name for path in (home / "shared").glob("*.npy")} - before
    assert len(added) == 1, "those of the validation images alone"
    transfusion("rank --config base.yaml --features shared --candidates cifar_resnet20=trained.pth --split val")
    assert "as kept from before" in capsys.readouterr().err


def test_candidates_that_fail_are_told(home, capsys):
    (home / "broken.pth").write_bytes(b"no weights")
    (home / "list.txt").write_text("cifar_resnet20=broken.pth  # damaged\ncifar_resnet20=trained.pth\n")
    folder = transfusion("rank --config base.yaml --features kept --candidates @list.txt --score logme --halves 0")
    assert "Not ranked: cifar_resnet20=broken.pth: The weights file cannot be read" in capsys.readouterr().out
    assert list(json.loads((folder / "ranking.json").read_text())["failed"]) == ["cifar_resnet20=broken.pth"]
    said = mistake("rank --config base.yaml --features kept --candidates cifar_resnet20=broken.pth", capsys)
    assert said.startswith("None of the candidates could be looked at:\ncifar_resnet20=broken.pth: The weights file")


def test_worth_beside_outcomes(home, capsys):
    rows = ["source,target,value", "cifar_resnet20=/else/trained.pth,Tiny,0.9", "cifar_resnet20.textures,Tiny,0.8"]
    (home / "outcomes.csv").write_text("\n".join([*rows, "cifar_resnet32=random,Tiny,0.7"]) + "\n")
    (home / "static.csv").write_text(
        "source,value\ncifar_resnet20.textures,3\ncifar_resnet20=trained.pth,2\ncifar_resnet32=random,1\n"
    )
    folder = transfusion(f"{RANK} --score logme --outcomes outcomes.csv --static static.csv")
    said = capsys.readouterr().out
    assert re.search(r"LogME is not shown to beat the static ranking", said)
    assert (folder / "agreement.csv").is_file() and (folder / "agreement.png").is_file()
    transfusion(f"{RANK} --score logme --outcomes outcomes.csv")
    assert "larger networks first" in capsys.readouterr().out


def test_worth_of_runs(home, capsys):
    transfusion("test lightning_logs/bn/version_0")
    transfusion(f"{RANK} --score logme --outcomes lightning_logs/bn --outcome auroc")
    assert "fewer than 3 sources" in capsys.readouterr().out


def test_a_table_of_scores(home, capsys):
    rng = np.random.default_rng(0)
    rows = [
        (source, target, measure, value)
        for target in "xyz"
        for source, outcome in zip("abcd", rng.normal(size=4), strict=True)
        for measure, value in (("fine_tuned_auc", outcome), ("good", outcome), ("bad", -outcome))
    ]
    pd.DataFrame(rows, columns=["source", "target", "measure", "value"]).to_csv(home / "table.csv", index=False)
    transfusion("rank --table table.csv --out judged")
    said = capsys.readouterr().out
    assert re.search(r"^good +1\.000", said, re.MULTILINE) and re.search(r"^bad +-\d\.\d{3}", said, re.MULTILINE)
    assert (home / "judged" / "agreement.csv").is_file()
    assert "no outcome" in mistake("rank --table table.csv --outcome f1", capsys).lower()
    assert "Leave out all but --out" in mistake("rank --table table.csv --candidates resnet18", capsys)


def test_labels_of_several_kinds(capsys):
    for kind in ("multiclass", "multilabel", "ordinal"):
        folder = transfusion(
            f"{RANK} --data.kind {kind} --data.train 48 --score logme linear_probe --halves 3 --ac_corr 1"
        )
        assert pd.read_csv(folder / "scores.csv").query("measure == 'linear_probe'")["value"].between(0.3, 1).all()


def test_a_medmnist_file_and_its_validation_images(home, capsys):
    build_medmnist(home / "data")
    command = "rank --config pneumoniamnist_full --data.root data --features kept --split val --images 7 --score knn"
    transfusion(f"{command} --candidates cifar_resnet20=trained.pth")
    assert "on 7 images whose patients are unknown (val)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("rank --config base.yaml", "Give --candidates"),
        ("rank --candidates random:1", "Give --config FILE"),
        ("rank --config base.yaml --candidates resnet81", "Did you mean resnet18"),
        (f"{RANK} --score logmee", "logme"),
        (f"{RANK} --split test", "train"),
        (f"{RANK} --ac_corr 0", "steps or epoch"),
        (f"{RANK} --modle.backbone x", "model"),
        ("rank --config demo_segmentation --candidates random:1", "has masks"),
        (f"{RANK} --outcomes nowhere.csv", "nowhere.csv"),
    ],
)
def test_mistakes(command, told, capsys):
    assert told in mistake(command, capsys)


def test_help_names_every_score(capsys):
    with pytest.raises(SystemExit) as stop:
        transfusion("rank --help")
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for word in ("logme", "linear_probe", "ac_corr", "NAME=random:SEED", "--table"):
        assert word in said
    flags = set(re.findall(r"--\w+", " ".join(rank.flags()._option_string_actions)))
    assert flags - {"--help"} == set(completion.OWN["rank"].split())


def test_a_bar_moves_and_ctrl_c_keeps_what_is_done(home):
    words = [
        "rank",
        "--config",
        "demo",
        "--features",
        "cut",
        "--score",
        "logme",
        "--halves",
        "2",
        "--data.patients",
        "200",
    ]
    words += ["--candidates", "cifar_resnet20.textures", "cifar_resnet20=random:1", "cifar_resnet110=random:1"]
    process = Process(home, *words, terminal=True)
    process.wait_for(lambda: "3 of 3: cifar_resnet110" in process.text and "%|" in process.text)
    process.press_ctrl_c()
    said = process.end(130)
    assert "Stopped. The same command goes on from here." in said and "Traceback" not in said
    assert len(list((home / "cut").glob("*.npy"))) == 3  # features of two, and what the first one's classifier says
    process = Process(home, *words)
    output = process.end()
    assert output.count("as kept from before") == 2 and "By LogME" in output
    assert "\r" not in output and "%|" not in output


def test_a_killed_one_leaves_nothing_half(home):
    words = [
        "rank",
        "--config",
        "demo",
        "--features",
        "killed",
        "--score",
        "logme",
        "--halves",
        "0",
        "--data.patients",
        "200",
    ]
    words += ["--candidates", "cifar_resnet20.textures", "cifar_resnet110=random:1"]
    process = Process(home, *words, terminal=True)
    process.wait_for(lambda: "2 of 2: cifar_resnet110" in process.text)
    process.send(signal.SIGKILL)
    process.end(-signal.SIGKILL)
    assert len(list((home / "killed").glob("[!.]*.npy"))) == 2  # features, and what its classifier says
    assert Process(home, *words).end().count("as kept from before") == 1
