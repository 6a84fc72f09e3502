"""What is written after a test: rankings by the logits, and names that no spreadsheet takes for formulas."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from support.masks import blobs, evaluation
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.analysis.scores import scores_for
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.reports.figures import evaluation_figures
from transfusion_cli.reports.results_writer import ResultsWriter, predictions_frame
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.spreadsheet import spreadsheet_plain


@pytest.mark.parametrize("kind", ["binary", "multilabel", "ordinal"])
def test_every_ranking_goes_by_the_logits(tmp_path, kind):
    task = make_task(tmp_path, kind=kind)
    task.build()
    with torch.no_grad():
        task.network.fc.bias += 80
    data = TinyDataModule(kind, other=60)
    seen = []
    task.network.fc.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs))
    make_trainer(tmp_path, callbacks=[ResultsWriter(RunFolder(tmp_path))]).test(task, datamodule=data)
    logits, targets, p = torch.cat(seen).double(), task.evaluation.targets, task.evaluation.probabilities
    # The last class or label: of the ordinal ones, log P(y > 1) = log sigmoid(z0) + log sigmoid(z1), which is -exp(-z0)
    # - exp(-z1) far out.
    score = logits[:, -1] if kind != "ordinal" else -(-logits).exp().sum(dim=1)
    truth = targets == 2 if kind == "ordinal" else targets[:, -1] == 1
    expected = sk.roc_auc_score(truth, score)
    assert (p[:, -1] == 1).all()
    name = {"binary": "test/auroc", "multilabel": "test/auroc/c", "ordinal": "test/auroc/c"}[kind]
    found = json.loads((tmp_path / "results.json").read_text())[name]
    assert found["value"] == pytest.approx(expected, abs=1e-12) and abs(expected - 0.5) > 0.01
    assert found["low"] < found["value"] < found["high"]
    (text,) = [
        label.get_text()
        for axes in evaluation_figures(task.evaluation)["ROC"].axes
        for label in (axes.legend_.get_texts() if axes.legend_ else [])
        if label.get_text().startswith(("positive", "c "))
    ]
    assert text.endswith(f"{expected:.3f}")
    assert scores_for(task, data)(logits, targets)["auroc"] == task.evaluation.metrics["auroc"]


class Formulas(TinyDataModule):
    """Ids, patients and a class that a spreadsheet would run."""

    @property
    def class_names(self):
        return ["=a", "-b", "'c"]

    def load_samples(self):
        table = super().load_samples()
        table.ids = np.char.add("=cmd|", table.ids)
        table.patients = np.char.add("@", table.patients)
        table.domains = as_text(["+north", "-south"] * (len(table) // 2))
        return table


@pytest.mark.parametrize("verb", ["test", "predict"])
def test_formulas(tmp_path, verb):
    data = Formulas("multiclass", train=6, other=6)
    task = make_task(tmp_path, kind="multiclass")
    task.class_names = data.class_names
    writer = ResultsWriter(RunFolder(tmp_path / "run"))
    getattr(make_trainer(tmp_path, callbacks=[writer]), verb)(task, datamodule=data)
    [path] = (tmp_path / "run").glob("predictions*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "patient", "domain", "p_=a", "p_-b", "p_'c", "label"] and len(rows) == 6
    for row in rows:
        texts = [row[0], row[1], row[2], row[-1]]
        assert [text[:2] for text in texts[:2]] == ["'=", "'@"] and all(text[0] == "'" for text in texts)
        assert row[2] in ("'+north", "'-south") and all(0 <= float(cell) <= 1 for cell in row[3:6])
    assert set(spreadsheet_plain(row[-1] for row in rows)) <= set(data.class_names)
    inside = data.samples.rows("test")
    assert spreadsheet_plain(row[0] for row in rows) == data.samples.ids[inside].tolist()


def test_several_rows_of_a_case():
    """Masks have one for each class; what could not be read has none."""
    rng = np.random.default_rng(0)
    truths = [np.stack([blobs(rng, (12, 14)) for _ in range(2)]) for _ in range(3)]
    truths[2][1] = False
    found = evaluation([(truth ^ blobs(rng, (12, 14), 0.05), truth) for truth in truths], names=["liver", "tumour"])
    samples = SampleTable(
        ids=np.array(["c", "b", "a", "d"]),
        targets=np.zeros((4, 1), dtype=np.float32),
        split=np.array(["test"] * 4),
        patients=np.array(["P", "P", "Q", "R"]),
    )
    frame = predictions_frame(replace(found, index=torch.tensor([3, -1, 2])), SimpleNamespace(samples=samples))
    assert frame["id"].tolist() == ["d", "d", "a", "a"] and frame["patient"].tolist() == ["R", "R", "Q", "Q"]
    assert frame["class"].tolist() == ["liver", "tumour"] * 2
    dice = found.scores["dice"][[0, 2]].flatten().tolist()
    assert frame["dice"].tolist() == pytest.approx(dice, nan_ok=True) and np.isnan(dice[3])
    samples.split[:] = "predict"
    frame = predictions_frame(replace(found, index=torch.arange(3)), SimpleNamespace(samples=samples))
    assert list(frame) == ["id", "patient", "class", "volume"] and len(frame) == 6
