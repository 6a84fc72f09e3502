"""What a test writes of a network so sure that its probabilities are all 1."""

import json
from types import SimpleNamespace

import pytest
import torch
from sklearn import metrics as sk
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.cli.bench import Bench
from transfusion_cli.reports.results_writer import ResultsWriter
from transfusion_cli.reports.run_folder import RunFolder
from transfusion_cli.reports.tensorboard import evaluation_figures


@pytest.mark.parametrize("kind", ["binary", "multilabel", "ordinal"])
def test_every_ranking_goes_by_the_logits(tmp_path, kind):
    task = make_task(tmp_path, kind=kind)
    task.build()
    with torch.no_grad():
        task.network.fc.bias += 80
    data = TinyDataModule(kind, other=60)
    make_trainer(tmp_path, callbacks=[ResultsWriter(RunFolder(tmp_path), resamples=100)]).test(task, datamodule=data)
    table, p = task.evaluation.table, task.evaluation.probabilities
    # The last class or label: of the ordinal ones, log P(y > 1) = log sigmoid(z0) + log sigmoid(z1), which is -exp(-z0)
    # - exp(-z1) far out.
    score = table.logits.double()[:, -1] if kind != "ordinal" else -(-table.logits.double()).exp().sum(dim=1)
    truth = table.targets == 2 if kind == "ordinal" else table.targets[:, -1] == 1
    expected = sk.roc_auc_score(truth, score)
    assert (p[:, -1] == 1).all()
    name = {"binary": "test/auroc", "multilabel": "test/auroc/c", "ordinal": "test/auroc/c"}[kind]
    found = json.loads((tmp_path / "results.json").read_text())[name]
    assert found["value"] == pytest.approx(expected, abs=1e-12) and abs(expected - 0.5) > 0.01
    assert found["low"] < found["value"] < found["high"]
    (text,) = [
        label.get_text()
        for axes in evaluation_figures(task)["ROC"].axes
        for label in (axes.legend_.get_texts() if axes.legend_ else [])
        if label.get_text().startswith(("positive", "c "))
    ]
    assert text.endswith(f"{expected:.3f}")
    bench = SimpleNamespace(data=data)
    assert Bench.scores_for(bench, task)(table.logits, table.targets)["auroc"] == task.evaluation.metrics["auroc"]
