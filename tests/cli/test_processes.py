"""The installed command in processes of its own: killed, interrupted, and two of them together."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: PhantomDataModule
  init_args: {patients: 48, test_patients: 16, image_size: 24, batch_size: 8}
model:
  backbone: cifar_resnet20.textures
  transfer: {class_path: BatchNormAffine, init_args: {head_epochs: 1}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 5.0e-2, momentum: 0.9}}
trainer: {max_epochs: 4, accelerator: cpu, devices: 1, enable_progress_bar: false, log_every_n_steps: 1}
"""


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "transfusion_cli", "fit", *flags]


def start(folder: Path, *flags: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("TRANSFUSION_RUN_FOLDER", None)
    return subprocess.Popen(
        command(*flags), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def validation(run: Path) -> dict[int, dict[str, float]]:
    """Validation metrics by epoch."""
    with open(run / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/loss")]
    assert len({row["epoch"] for row in rows}) == len(rows), "an epoch was logged twice"
    return {int(row["epoch"]): {k: float(v) for k, v in row.items() if k.startswith("val/") and v} for row in rows}


def wait_for(run: Path, process: subprocess.Popen, epoch: int, step: int) -> None:
    """Wait until training is in mid-epoch, some steps after ``epoch`` ended."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        path = run / "metrics.csv"
        if (run / "checkpoints" / "last.ckpt").exists() and path.exists():
            with open(path, newline="") as file:
                steps = [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss_step")]
            if steps and max(steps) >= step:
                return
        time.sleep(0.02)
    raise AssertionError(f"training never reached step {step}: {process.communicate()[0]}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing disturbed: its folder above the run, and its validation metrics."""
    home = tmp_path_factory.mktemp("processes")
    (home / "small.yaml").write_text(CONFIG)
    output = finish(start(home, "--config", "small.yaml", "--name", "whole"))
    assert "transfusion fit --ckpt_path" in output
    return home, validation(home / "lightning_logs/whole/version_0")


def same(one: dict, two: dict, tolerance: float) -> None:
    assert one.keys() == two.keys()
    for epoch, metrics in one.items():
        assert two[epoch] == pytest.approx(metrics, abs=tolerance, nan_ok=True), epoch


def test_killed_and_resumed_equals_the_whole(whole):
    home, expected = whole
    run = home / "lightning_logs/killed/version_0"
    process = start(home, "--config", "small.yaml", "--name", "killed")
    wait_for(run, process, epoch=1, step=30)  # 13 steps an epoch: in the third
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len(validation(run)) < len(expected)
    finish(start(home, "--ckpt_path", str(run / "checkpoints/last.ckpt")))
    same(validation(run), expected, tolerance=0)
    assert not (run.parent / "version_1").exists()


def test_interrupted_and_resumed_equals_the_whole(whole):
    home, expected = whole
    run = home / "lightning_logs/interrupted/version_0"
    process = start(home, "--config", "small.yaml", "--name", "interrupted")
    wait_for(run, process, epoch=1, step=30)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    (line,) = [line for line in output.splitlines() if "--ckpt_path" in line]
    assert "Traceback" not in output
    path = line.split("--ckpt_path ")[1].strip()
    assert path.endswith("last.ckpt") and (home / path).is_file()
    finish(start(home, "--ckpt_path", path))
    same(validation(run), expected, tolerance=0)


def test_two_processes_equal_one(whole):
    home, expected = whole
    flags = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--test_after_fit", "true"]
    output = finish(start(home, "--config", "small.yaml", "--name", "two", *flags))
    run = home / "lightning_logs/two/version_0"
    same(validation(run), expected, tolerance=1e-5)
    assert [path.name for path in sorted(run.parent.iterdir())] == ["latest", "version_0"]
    assert output.count("What trained") == 1
    results = json.loads((run / "results.json").read_text())
    with open(run / "predictions_test.csv", newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert len(ids) == len(set(ids)) == results["test/samples"]["value"] == 48
