"""A run tested by groups of patients, and on the data of another hospital."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from support.chexpert import build_chexpert
from support.commands import mistake, transfusion
from support.layouts import nih_chest_xray14

pytestmark = pytest.mark.slow

RUN = Path("lightning_logs/chexpert_bn/version_0")
FIT = "fit --config chexpert_bn --data.root chexpert --data.image_size 16 --data.num_workers 0 --trainer.max_epochs 1"
FIT += " --data.labels '[Edema, Pleural Effusion, Fracture]' --model.backbone cifar_resnet20 --model.pretrained false"
FIT += " --trainer.accelerator cpu --trainer.precision 32-true"
NIH = "--data NIHChestXRay14DataModule --data.root nih"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a CheXpert tree, tested by sex and age; a tree of NIH's whose images are darker."""
    home = tmp_path_factory.mktemp("home")
    build_chexpert(home / "chexpert", patients=40, test_patients=60, size=20)
    nih_chest_xray14.build(home / "nih", patients=60)
    for path in (home / "nih").glob("images_*/images/*.png"):
        Image.fromarray(np.array(Image.open(path)) // 8).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        transfusion(FIT)
        transfusion(f"test {RUN} --data.subgroups '[sex, age<40]'")
    return home


@pytest.fixture
def home(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def read(path):
    return json.loads(Path(path).read_text())


def test_groups_are_tests_of_their_own(home):
    results, rows = read(RUN / "results.json"), pd.read_csv(RUN / "predictions_test.csv")
    table = pd.read_csv("chexpert/valid.csv").assign(id=lambda f: f["Path"].str.partition("/")[2]).set_index("id")
    people = table.loc[rows["id"]]
    for group, side in {
        "sex=Female": people["Sex"] == "Female",
        "sex=Male": people["Sex"] == "Male",
        "age<40": people["Age"] < 40,
        "age>=40": people["Age"] >= 40,
    }.items():
        own = rows[side.to_numpy()]
        area = roc_auc_score(own["label_Edema"], own["p_Edema"])
        assert results[f"test[{group}]/auroc/Edema"]["value"] == pytest.approx(area)
        assert results[f"test[{group}]/patients"]["value"] == own["patient"].nunique()
        brier = np.mean((own["label_Edema"] - own["p_Edema"]) ** 2)  # nothing was calibrated
        assert results[f"test[{group}]/brier/Edema"]["value"] == pytest.approx(brier)
    assert results["gap[sex=Female]/auroc"]["p_holm"] >= results["gap[sex=Female]/auroc"]["p"]
    assert results["subgroups"]["columns"] == {"sex": "Sex", "age<40": "Age"}


def test_a_column_that_is_not_there(home, capsys):
    assert "Did you mean age?" in mistake(f"test {RUN} --data.subgroups '[agge<40]'", capsys)


def test_pixels_of_the_test_are_those_of_the_images(home):
    shown = transfusion(f"test {RUN} --output again").datamodule
    pixels = np.concatenate([batch["image"].numpy() for batch in shown.test_dataloader()]).reshape(90, -1) / 255
    told = read("again/results.json")["provenance"]["pixels"]
    assert told["images"] == 90 and told["mean"] == pytest.approx(pixels.mean(), rel=1e-4)
    assert told["between_images"] == pytest.approx(pixels.mean(axis=1).std(), rel=1e-2)
    assert told["within_image"] == pytest.approx(pixels.std(axis=1, ddof=1).mean(), rel=1e-2)


def test_another_hospital_by_a_label_map(home, capsys):
    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    Path("map.yaml").write_text("Effusion: Pleural Effusion\n")
    transfusion(f"test {RUN} {NIH} --label_map map.yaml --data.subgroups '[view]'")
    told = capsys.readouterr().out
    folder = RUN / "external_NIHChestXRay14"
    results, rows = read(folder / "results.json"), pd.read_csv(folder / "predictions_test.csv")
    assert {path: path.read_bytes() for path in before} == before
    table = pd.read_csv("nih/Data_Entry_2017.csv", index_col=False).set_index("Image Index")["Finding Labels"]
    assert set(rows["id"]) == set(Path("nih/test_list.txt").read_text().split())
    for theirs, ours in {"Edema": "Edema", "Effusion": "Pleural Effusion"}.items():
        truth = table.loc[rows["id"]].str.split("|").map(lambda found, name=theirs: name in found).to_numpy()
        area = roc_auc_score(truth, rows[f"p_{ours}"])
        assert results[f"test/auroc/{ours}"]["value"] == pytest.approx(area)
        assert f"{area:.3f}" in told
    assert "p_Fracture" not in rows and "test/auroc/Fracture" not in results
    assert results["external"]["left_out"] == ["Fracture"] and "Left out, as NIHChestXRay14" in told
    assert "test[view=PA]/auroc" in results
    assert results["provenance"]["own_split"] is False
    # The run's own test stands beside it, by the labels that both know.
    own = read(RUN / "results.json")
    mean = np.mean([own[f"test/auroc/{name}"]["value"] for name in ("Edema", "Pleural Effusion")])
    (line,) = [line for line in told.split("own test")[1].splitlines() if line.startswith("auroc")]
    assert line.split()[1] == f"{results['test/auroc']['value']:.3f}" and f"{mean:.3f}" in line.split()[2:]
    assert "prevalences are not those of the run's own test" in told and "images of NIHChestXRay14 have a mean" in told
    assert "beside_own.txt" in {path.name for path in folder.iterdir()}
    transfusion(f"test {RUN} {NIH} --label_map '{{Effusion: Pleural Effusion}}'")
    assert read(RUN / "external_NIHChestXRay14_1" / "results.json")["test/auroc"] == results["test/auroc"]


def test_what_was_trained_on_is_no_external_test(home, capsys):
    again = "--data CheXpertDataModule --data.root chexpert --data.protocol partial_transfusion --label_map {}"
    assert "were trained on" in mistake(f"test {RUN} {again}", capsys)
    assert not list(RUN.glob("external_CheXpert*/results.json"))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (f"test {RUN} {NIH} --label_map nowhere.yaml", "There is no file nowhere.yaml"),
        (f"test {RUN} {NIH} --label_map '{{Efusion: Edema}}'", "Did you mean Effusion?"),
        (f"test {RUN} {NIH} --label_map '{{Effusion: [a]}}'", "is no map of names"),
        (f"validate {RUN} {NIH} --label_map '{{}}'", "--label_map is for the test of a run on other data"),
    ],
)
def test_mistakes(home, capsys, command, told):
    assert told in mistake(command, capsys)
