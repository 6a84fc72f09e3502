"""A kind of evaluation that nothing else knows of gets metrics, intervals, results, predictions and comparisons."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from support.commands import transfusion
from support.networks import source_file
from support.overlap import OverlapEvaluation, OverlapTask
from support.runs import make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.reports.csv_log import MetricsCSV
from transfusion_cli.reports.results_writer import ResultsWriter
from transfusion_cli.reports.tensorboard import TensorBoardReport
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.strategies import BatchNormAffine


def test_metrics_and_intervals_follow_from_weights():
    overlap = torch.tensor(np.random.default_rng(0).uniform(0.4, 1, 300))
    patients = np.repeat(np.arange(100), 3)
    evaluation = OverlapEvaluation(index=torch.arange(300), overlap=overlap, patients=patients, loss=0.5)
    assert evaluation.metrics == {"loss": 0.5, "dice": pytest.approx(overlap.mean().item(), abs=1e-12)}
    means = overlap.view(100, 3).mean(dim=1).numpy()
    low, high, method, why = evaluation.intervals()["dice"]
    assert [low, high] == pytest.approx(means.mean() + 1.98 * means.std() / 10 * np.array([-1, 1]), abs=0.004)
    assert (method, why) == ("Wilson, clustered by patient", "")
    dice = evaluation.estimates["dice"]
    assert dice.variance == pytest.approx(means.var(ddof=1) / 100, rel=1e-9) and dice.patients == {"patients": 100}
    part = evaluation.take(evaluation.index < 30)
    assert len(part) == 30 and part.metrics == {"dice": pytest.approx(overlap[:30].mean().item(), abs=1e-12)}
    assert evaluation.by_exam(patients) is None


def test_it_plugs_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path / "lightning_logs" / "overlap" / "version_0")
    task = OverlapTask(backbone="cifar_resnet20", pretrained=source_file(tmp_path), transfer=BatchNormAffine())
    trainer = make_trainer(
        tmp_path,
        epochs=2,
        callbacks=[ResultsWriter(folder), TensorBoardReport()],
        logger=[MetricsCSV(folder.path), TensorBoardLogger(str(folder.path), name="", version="")],
    )
    data = TinyDataModule("binary", train=24, other=24)
    trainer.fit(task, datamodule=data)
    assert set(task.shown) == {"train/loss", "val/dice"}
    trainer.test(task, datamodule=data)

    results = json.loads((folder.path / "results.json").read_text())
    dice = results["test/dice"]
    assert 0 < dice["low"] < dice["value"] < dice["high"] < 1 and dice["samples"] == 24
    assert dice["value"] == trainer.callback_metrics["test/dice"]
    assert (
        results["test/patients"] == {"value": 12}
        and results["val/dice"]["value"] == task.validation_metrics["val/dice"]
    )
    with open(folder.path / "predictions_test.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "patient", "dice"] and len(rows) == 24
    assert np.mean([float(row["dice"]) for row in rows]) == pytest.approx(dice["value"], abs=1e-6)

    config = {"name": "overlap", "checkpoint": {"monitor": "val/dice", "mode": "max"}}
    (folder.path / "config.yaml").write_text(yaml.safe_dump(config))
    results["provenance"]["own_split"] = True
    (folder.path / "results.json").write_text(json.dumps(results))
    capsys.readouterr()
    transfusion("compare overlap --metric dice")
    assert f"{dice['value']:.3f}" in capsys.readouterr().out
