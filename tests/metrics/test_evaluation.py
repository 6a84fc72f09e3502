"""A kind of evaluation that nothing else knows of gets metrics, intervals, results, predictions and comparisons."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

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

from transfusion_cli.comparison.tested import read_tested
from transfusion_cli.reports.csv_log import MetricsCSV
from transfusion_cli.reports.results_writer import ResultsWriter, predictions_frame
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.reports.tensorboard import TensorBoardReport
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.spreadsheet import spreadsheet_frame
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


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(home, version=0, **options):
    """A run of the task, trained and tested; its folder, task and trainer."""
    folder = RunFolder(Path("lightning_logs") / "overlap" / f"version_{version}")
    task = OverlapTask(backbone="cifar_resnet20", pretrained=source_file(home), transfer=BatchNormAffine(**options))
    trainer = make_trainer(
        home,
        epochs=2,
        callbacks=[ResultsWriter(folder), TensorBoardReport()],
        logger=[MetricsCSV(folder.path), TensorBoardLogger(str(folder.path), name="", version="")],
    )
    data = TinyDataModule("binary", train=24, other=24)
    trainer.fit(task, datamodule=data)
    trainer.test(task, datamodule=data)
    config = {"name": "overlap", "checkpoint": {"monitor": "val/dice", "mode": "max"}, "transfer": options}
    (folder.path / "config.yaml").write_text(yaml.safe_dump(config))
    results = json.loads(folder.results.read_text())
    results["provenance"]["own_split"] = True
    folder.results.write_text(json.dumps(results))
    return folder, task, trainer


def predictions(folder):
    with open(folder.test_predictions, newline="") as file:
        return list(csv.DictReader(file))


def test_it_plugs_in(home, capsys):
    folder, task, trainer = a_run(home)
    assert set(task.shown) == {"train/loss", "val/dice"}
    results = json.loads(folder.results.read_text())
    dice = results["test/dice"]
    assert 0 < dice["low"] < dice["value"] < dice["high"] < 1 and dice["samples"] == 24
    assert dice["value"] == trainer.callback_metrics["test/dice"]
    assert (
        results["test/patients"] == {"value": 12}
        and results["val/dice"]["value"] == task.validation_metrics["val/dice"]
    )
    rows = predictions(folder)
    assert list(rows[0]) == ["id", "patient", "dice"] and len(rows) == 24
    assert np.mean([float(row["dice"]) for row in rows]) == pytest.approx(dice["value"], abs=1e-6)

    other, *_ = a_run(home, version=1, affine="scale")
    gaps = [float(one["dice"]) - float(two["dice"]) for one, two in zip(rows, predictions(other), strict=True)]
    capsys.readouterr()
    transfusion("compare overlap --metric dice --figures drawn")
    out = capsys.readouterr().out
    assert f"{dice['value']:.3f}" in out and "on the same 12 patients" in out
    assert f"{np.mean(gaps):+.4f}" in out and "%" in out, out
    assert [path.name for path in Path("drawn").iterdir()] == ["differences.png"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ByClassEvaluation(OverlapEvaluation):
    """Two classes that are found alike in a case, a row each."""

    @property
    def case_of_row(self):
        return torch.arange(len(self)).repeat_interleave(2)

    def columns(self):
        return {"class": np.tile(["left", "=right"], len(self)), "found": self.overlap.numpy().repeat(2)}

    def truth(self):
        return {"size": np.arange(2 * len(self))}

    @classmethod
    def of_table(cls, columns, metrics):
        if "found" not in columns:
            return None
        assert columns["class"].tolist() == ["left", "=right"] * (len(columns["class"]) // 2)
        return super().of_table({"dice": columns["found"][::2]}, metrics)


def test_several_rows_of_a_case(home):
    folder, _, trainer = a_run(home)
    seen = ByClassEvaluation(index=torch.arange(48)[-24:].flip(0), overlap=torch.linspace(0.4, 0.6, 24))
    frame = predictions_frame(seen, trainer.datamodule)
    assert len(frame) == 48 and frame["id"].tolist() == trainer.datamodule.samples.ids[seen.index].repeat(2).tolist()
    folder.test_predictions.write_text(spreadsheet_frame(frame).to_csv(index=False))
    folder.results.write_text(json.dumps({"test/dice": {"value": 0.5}, "provenance": {"own_split": True}}))
    tested = read_tested(RunRecord.read(folder))
    assert len(set(tested.evaluation.patients)) == 12 and len(tested.evaluation) == 24
    back = frame.iloc[::2].sort_values("id")
    assert tested.evaluation.overlap.tolist() == pytest.approx(back["found"].tolist())
    assert tested.evaluation.patients.tolist() == back["patient"].tolist()
    folder.test_predictions.write_text("id,patient,dice\n")
    assert "is not as the run wrote it (no rows)" in read_tested(RunRecord.read(folder))
