"""The installed command as people run it: in a terminal and in a pipe, killed, interrupted, two processes together."""

import csv
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from support.processes import Process

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: PhantomDataModule
  init_args: {patients: 48, test_patients: 16, image_size: 24, batch_size: 8}
model:
  backbone: cifar_resnet20.textures
  transfer: {class_path: BatchNormAffine, init_args: {head_epochs: 1}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 5.0e-2, momentum: 0.9}}
trainer: {max_epochs: 4, accelerator: cpu, devices: 1, log_every_n_steps: 1}
"""
STEPS = 13
"""Optimizer steps of an epoch."""


def rows(run: Path) -> list[dict[str, str]]:
    """Everything in ``metrics.csv``."""
    with open(run / "metrics.csv", newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def steps(run: Path) -> int:
    """Training steps that were logged, once there is something to go on from."""
    if not (run / "checkpoints/last.ckpt").exists():
        return 0
    return max((int(row["step"]) for row in rows(run) if "train/loss_step" in row), default=0)


def validation(run: Path) -> dict[int, dict[str, float]]:
    """Validation metrics by epoch."""
    found = [row for row in rows(run) if "val/loss" in row]
    return {int(row["epoch"]): {k: float(v) for k, v in row.items() if k.startswith("val/")} for row in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the run that nothing disturbed, and the folder above all runs."""
    home = tmp_path_factory.mktemp("processes")
    (home / "small.yaml").write_text(CONFIG)
    output = Process(home, "fit", "--config", "small.yaml", "--name", "whole").end()
    assert "transfusion fit --resume" in output and "Traceback" not in output
    return home, home / "lightning_logs/whole/version_0"


def same(run: Path, whole: Path) -> None:
    """Both logged the same, digit by digit, and ended with the same weights."""
    expected = rows(whole)
    assert sorted(rows(run), key=str) == sorted(expected, key=str)
    for name in ("best.ckpt", "last.ckpt"):
        one, two = (torch.load(path / "checkpoints" / name, weights_only=True) for path in (run, whole))
        assert one["global_step"] == two["global_step"]
        for tensor, value in two["state_dict"].items():
            assert torch.equal(one["state_dict"][tensor], value), (name, tensor)
    assert not (run.parent / "version_1").exists()


def test_killed_and_resumed_equals_the_whole(whole):
    home, expected = whole
    run = home / "lightning_logs/killed/version_0"
    process = Process(home, "fit", "--config", "small.yaml", "--name", "killed")
    process.wait_for(lambda: steps(run) >= 2 * STEPS + 4)  # in the third epoch
    process.send(signal.SIGKILL)
    process.end(-signal.SIGKILL)
    assert 1 <= len(validation(run)) < 4
    Process(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt")).end()
    same(run, expected)


@pytest.mark.parametrize("phase", [0, 1])
def test_ctrl_c_in_a_terminal_with_workers(phase, whole):
    home, expected = whole
    run = home / f"lightning_logs/typed{phase}/version_0"
    flags = ["--config", "small.yaml", "--name", f"typed{phase}", "--data.num_workers", "2"]
    process = Process(home, "fit", *flags, terminal=True)
    if phase:
        process.wait_for(lambda: steps(run) >= STEPS + 3)
    else:
        process.wait_for(lambda: (run / "metrics.csv").exists())
    process.press_ctrl_c()
    output = process.end(128 + signal.SIGINT)
    assert "SIGINT: stopping after this step" in output and "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "--ckpt_path" in line]
    path = line.split("--ckpt_path ")[1].strip()
    assert path.endswith("last.ckpt")
    cut = torch.load(home / path, weights_only=True)
    assert cut["transfusion"]["phase"] == phase and cut["global_step"] < 4 * STEPS
    Process(home, "fit", "--ckpt_path", path, terminal=True).end()
    same(run, expected)


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_told_to_end_it_saves_first(group, whole):
    home, _ = whole
    run = home / f"lightning_logs/ended{group}/version_0"
    flags = ["--config", "small.yaml", "--name", f"ended{group}", "--data.num_workers", "2"]
    process = Process(home, "fit", *flags)
    process.wait_for(lambda: steps(run) >= STEPS + 3)
    process.send(signal.SIGTERM, group)
    output = process.end(128 + signal.SIGTERM)
    assert "Stopped. Resume with:" in output and "Traceback" not in output
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] > STEPS


@pytest.fixture
def scheduler(tmp_path):
    """The variables of a job, and a ``scontrol`` that writes down what it was asked for."""
    script = tmp_path / "bin/scontrol"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    script.chmod(0o755)
    variables = {"SLURM_NTASKS": "1", "SLURM_JOB_ID": "4711", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    variables |= {"SLURM_NODEID": "0", "PATH": f"{script.parent}:{os.environ['PATH']}", "SLURM_JOB_NAME": "train"}
    return tmp_path, variables


@pytest.mark.parametrize(("name", "after"), [("head", 3), ("affine", STEPS + 3)])
def test_a_requeued_job_goes_on_in_its_own_folder(name, after, whole, scheduler):
    home, expected = whole
    folder, variables = scheduler
    run = home / f"lightning_logs/{name}/version_0"
    command = ["fit", "--config", "small.yaml", "--name", name]
    process = Process(home, *command, **variables)
    process.wait_for(lambda: (run / "metrics.csv").exists() and len(rows(run)) > after)
    process.send(signal.SIGUSR1)
    assert "job 4711 is requeued" in process.end(128 + signal.SIGUSR1)
    assert (folder / "asked").read_text() == "requeue 4711\n"
    assert not list(home.rglob("hpc_ckpt*"))
    (home / "hpc_ckpt_1.ckpt").write_bytes(b"of another run")
    try:
        Process(home, *command, **variables, SLURM_RESTART_COUNT="1").end()
    finally:
        (home / "hpc_ckpt_1.ckpt").unlink()
    same(run, expected)


def test_a_run_is_trained_by_one_process_at_a_time(whole):
    home, _ = whole
    run = home / "lightning_logs/twice/version_0"
    first = Process(home, "fit", "--config", "small.yaml", "--name", "twice", "--trainer.max_epochs", "500")
    first.wait_for(lambda: (run / "checkpoints/last.ckpt").exists())
    output = Process(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt")).end(2)
    assert "Another process is training in" in output and len(output.splitlines()) <= 3
    first.send(signal.SIGKILL)


def test_two_processes_with_their_bar_do_the_same(whole):
    """Rounding grows over 52 steps in float32; that gradients are equal, tests/training/test_two_processes.py says."""
    home, expected = whole
    flags = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--test_after_fit", "true"]
    output = Process(home, "fit", "--config", "small.yaml", "--name", "two", *flags, terminal=True).end()
    run = home / "lightning_logs/two/version_0"
    one, two = validation(expected), validation(run)
    assert one.keys() == two.keys() == {0, 1, 2, 3}
    for epoch, metrics in one.items():
        assert two[epoch]["val/loss"] == pytest.approx(metrics["val/loss"], abs=1e-3), epoch
    assert [path.name for path in sorted(run.parent.iterdir())] == ["latest", "version_0"]
    assert output.count("What trained") == 1 and "srun" not in output
    results = json.loads((run / "results.json").read_text())
    with open(run / "predictions_test.csv", newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert len(ids) == len(set(ids)) == results["test/samples"]["value"] == 48


def test_processes_that_cannot_meet_say_so_soon(whole):
    home, _ = whole
    flags = ["--trainer.num_nodes", "2", "--trainer.devices", "1", "--trainer.strategy", "ddp"]
    command = ["fit", "--config", "small.yaml", "--name", "apart", *flags]
    variables = {"MASTER_ADDR": "no-such-machine.invalid", "MASTER_PORT": "15001", "NODE_RANK": "0"}
    output = Process(home, *command, **variables).end(2, seconds=90)
    assert "no-such-machine.invalid" in output and "Set MASTER_ADDR" in output
    assert "Traceback" not in output and not (home / "lightning_logs/apart").exists()
