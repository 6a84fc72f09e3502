"""metrics.csv goes on where it was."""

import csv

from transfusion_cli.reports.csv_log import MetricsCSV


def rows(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]


def test_a_resumed_run_keeps_and_extends_the_file(tmp_path):
    folder = tmp_path / "demo" / "version_0"
    folder.mkdir(parents=True)
    log = MetricsCSV(folder)
    log.log_metrics({"val/loss": 1.0}, step=1)
    log.log_metrics({"train/loss_epoch": 2.0}, step=1)
    log.log_metrics({"val/loss": 0.5}, step=2)
    log.save()
    again = MetricsCSV(folder)
    again.resume(2)  # the two steps 0 and 1 are done
    again.log_metrics({"train/loss_epoch": 2.0}, step=1)
    again.log_metrics({"val/loss": 0.4, "val/auroc": 0.9}, step=2)
    again.save()
    assert rows(folder) == [
        {"step": "1", "val/loss": "1.0"},
        {"step": "1", "train/loss_epoch": "2.0"},
        {"step": "2", "val/loss": "0.4", "val/auroc": "0.9"},
    ]


def test_forgetting_in_a_new_run_is_nothing(tmp_path):
    folder = tmp_path / "demo" / "version_0"
    folder.mkdir(parents=True)
    MetricsCSV(folder).resume(5)
    assert not (folder / "metrics.csv").exists()
