"""metrics.csv goes on where it was."""

import csv

import pytest

from transfusion_cli.errors import UserError
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


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    """As a machine that lost its power leaves it."""
    folder = tmp_path / "demo" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("step,val/loss\n0,1.0\n1,0.5\n2,0.")
    log = MetricsCSV(folder)
    log.resume(9)
    log.log_metrics({"val/loss": 0.25}, step=2)
    log.save()
    assert rows(folder) == [{"step": str(n), "val/loss": str(0.5**n)} for n in range(3)]


@pytest.mark.parametrize("content", [b"", b"step,val/loss\n", b"st", b"step,val/loss\r\n0,1.0\r\n"])
def test_a_file_of_a_beginning_run_is_gone_on_with(tmp_path, content):
    folder = tmp_path / "demo" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_bytes(content)
    log = MetricsCSV(folder)
    log.resume(9)
    log.log_metrics({"val/loss": 0.25}, step=2)
    log.save()
    assert rows(folder)[-1] == {"step": "2", "val/loss": "0.25"} and len(rows(folder)) == 1 + (b"1.0" in content)


@pytest.mark.parametrize(
    "content",
    [
        b"step,val/loss\n0,1.0\n1,0.5,7\n",
        b"step,val/loss\n0\n",
        b"a,b\n1,2\n",
        b"step,a\nx,1\n",
        b"\xff\n\xff\n",
        b"\0\n" * 9,
    ],
)
def test_a_damaged_file_is_named_before_training(tmp_path, content):
    folder = tmp_path / "demo" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be gone on with: .*metrics.csv \(.*\n.*move it") as caught:
        MetricsCSV(folder).resume(1)
    assert len(str(caught.value).splitlines()) == 2 and (folder / "metrics.csv").read_bytes() == content
