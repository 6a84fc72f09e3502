"""Every shipped config for volumes trains, tests and predicts, on data built in the real layouts."""

import csv
import json

import pytest
from support import lidc
from support.commands import mistake, transfusion
from support.medmnist import build_medmnist

QUICK = "--trainer.accelerator cpu --trainer.devices 1 --trainer.enable_progress_bar false --data.num_workers 0"
SMALL = f"{QUICK} --trainer.max_epochs 1 --data.batch_size 4 --model.backbone cifar_resnet20 --model.pretrained false"
FLAG = "adrenalmnist3d"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    build_medmnist(folder / "medmnist", FLAG, counts=(8, 4, 6))
    lidc.build(folder / "LIDC", patients=6)
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def results_of(cli):
    """Test and predict by the run's folder alone; what both leave agrees."""
    run = cli.folder.path
    transfusion(f"test {run} {QUICK}")
    transfusion(f"predict --ckpt_path {run}/checkpoints/delta.safetensors {QUICK}")
    tested, predicted = (
        list(csv.DictReader((run / name).open(newline=""))) for name in ("predictions_test.csv", "predictions.csv")
    )
    assert len(tested) == len(predicted) > 0
    return json.loads((run / "results.json").read_text()), tested, predicted


def test_adrenalmnist3d(capsys):
    cli = transfusion(f"fit --config {FLAG}_bn --data.root medmnist {SMALL} --data.image_size 16")
    assert cli.model.dims == 3 and cli.model.mean.shape == (1, 3, 1, 1, 1)
    results, tested, predicted = results_of(cli)
    assert tested == predicted
    assert {"value", "low", "high"} <= set(results["test/auroc_of_size_alone"])
    said = capsys.readouterr().out
    assert "auroc_of_size_alone" in said and "--input" not in said
    run = cli.folder.path
    said = mistake(f"predict {run} --input medmnist", capsys)
    assert "--input reads images, and this run was trained on volumes" in said
    assert "filters draws filters of images" in mistake(f"analyze {run} --what filters", capsys)
    flags = f"--what similarity weights --split test --batches 1 --out {run}/analysis --data.num_workers 0"
    transfusion(f"analyze {run} init:{run} {flags}")
    assert (run / "analysis" / "similarity.csv").is_file()
    # A checkpoint that lies elsewhere says by itself that its network is one for volumes.
    elsewhere = run.parent / "elsewhere.ckpt"
    (run / "checkpoints" / "best.ckpt").rename(elsewhere)
    data = f"--data MedMNISTDataModule --data.flag {FLAG} --data.root medmnist --data.image_size 16"
    transfusion(f"test --ckpt_path {elsewhere} {data} {QUICK} --output {run}/again")
    again = json.loads((run / "again" / "results.json").read_text())
    assert again["test/auroc"] == results["test/auroc"]


def test_dims_follow_the_data(capsys):
    said = mistake(f"fit --config {FLAG}_bn --data.root medmnist --model.dims 2", capsys)
    assert said.strip() == "--model.dims cannot be set: it follows the data."


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["full", "head", "acnorm", "random"])
@pytest.mark.parametrize("inflate", ["centre", "mean", "acs"])
def test_adrenalmnist3d_by_other_strategies(strategy, inflate):
    flags = f"{SMALL} --model.backbone cifar_resnet20.textures --model.pretrained true --model.inflate {inflate}"
    cli = transfusion(f"fit --config {FLAG}_{strategy} --data.root medmnist {flags} --data.image_size 16")
    results_of(cli)


@pytest.mark.slow
def test_lidc_malignancy():
    options = "--data.cube 16 --data.min_readers 2 --data.rule mean"
    cli = transfusion(f"fit --config lidc_malignancy_bn --data.root LIDC {SMALL} {options}")
    results, _, _ = results_of(cli)
    assert results["test/auroc_of_size_alone"]["value"] is not None


@pytest.mark.slow
def test_lidc_nodules():
    options = "--data.crop [8,24,24] --data.batch_size 2"
    cli = transfusion(f"fit --config lidc_bn --data.root LIDC {SMALL} {options}")
    run = cli.folder.path
    transfusion(f"test {run} {QUICK}")
    assert "test/dice" in json.loads((run / "results.json").read_text())
    transfusion(f"predict {run} {QUICK}")
    assert len(list(run.rglob("LIDC-IDRI-*.nii.gz"))) == len(cli.datamodule.samples.rows("test"))
