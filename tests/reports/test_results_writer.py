"""Predictions are written for spreadsheets: no name of the user's is run as a formula."""

import csv

import numpy as np
import pytest
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.data.samples import as_text
from transfusion_cli.reports.results_writer import ResultsWriter
from transfusion_cli.reports.run_folder import RunFolder
from transfusion_cli.spreadsheet import spreadsheet_plain


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
    writer = ResultsWriter(RunFolder(tmp_path / "run"), resamples=10)
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
