"""Masks and volumes as people run them: in a terminal and in a pipe, killed, interrupted, two processes together."""

import csv
import json
import os
import signal
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from support.processes import Process

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: support.drawn_cases.DrawnCases
  init_args: {{dims: {dims}, cases: 15, side: {side}, patch_size: {side}, batch_size: 4, patches_per_case: 4}}
model:
  class_path: SegmentationTask
  init_args:
    backbone: cifar_resnet20.textures
    decoder_channels: [16, 8]
    transfer: {{class_path: BatchNormAffine, init_args: {{head_epochs: 1}}}}
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 5.0e-2, momentum: 0.9}}}}
trainer: {{max_epochs: 3, accelerator: cpu, devices: 1, log_every_n_steps: 1}}
"""
SIDES = {2: 24, 3: 12}
STEPS = 5
"""Optimizer steps of an epoch."""

TRUST = ("--trust", "support")


@pytest.fixture(scope="module", params=[2, 3], ids=["2-D", "3-D"])
def whole(request, tmp_path_factory):
    """The folder above all runs, and that of the run that nothing disturbed."""
    home = tmp_path_factory.mktemp("masks")
    (home / "small.yaml").write_text(CONFIG.format(dims=request.param, side=SIDES[request.param]))
    output = start(home, "fit", "--config", "small.yaml", "--name", "whole").end()
    assert "Traceback" not in output and "val/dice" in output
    return home, home / "lightning_logs/whole/version_0"


def start(home: Path, verb: str, *args: str, terminal: bool = False) -> Process:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return Process(home, verb, *args, *TRUST, terminal=terminal, PYTHONPATH=path)


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return sorted(({k: v for k, v in row.items() if v} for row in csv.DictReader(file)), key=str)


def steps(run: Path) -> int:
    if not (run / "checkpoints/last.ckpt").exists():
        return 0
    return max((int(row["step"]) for row in rows(run) if "train/loss_step" in row), default=0)


def same(run: Path, expected: Path) -> None:
    assert rows(run) == rows(expected)
    one, two = (torch.load(path / "checkpoints/last.ckpt", weights_only=True) for path in (run, expected))
    assert all(torch.equal(one["state_dict"][key], value) for key, value in two["state_dict"].items())


def test_killed_and_resumed_equals_the_whole(whole):
    home, expected = whole
    run = home / "lightning_logs/killed/version_0"
    process = start(home, "fit", "--config", "small.yaml", "--name", "killed")
    process.wait_for(lambda: steps(run) >= STEPS + 2)
    process.send(signal.SIGKILL)
    process.end(-signal.SIGKILL)
    start(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt")).end()
    same(run, expected)


def test_ctrl_c_in_a_terminal_with_workers(whole):
    home, expected = whole
    run = home / "lightning_logs/typed/version_0"
    flags = ["--config", "small.yaml", "--name", "typed", "--data.num_workers", "2"]
    process = start(home, "fit", *flags, terminal=True)
    process.wait_for(lambda: steps(run) >= STEPS)
    process.press_ctrl_c()
    output = process.end(128 + signal.SIGINT)
    assert "SIGINT: stopping after this step" in output and "Traceback" not in output
    start(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt"), terminal=True).end()
    same(run, expected)


def test_two_processes_with_their_bar_do_the_same(whole):
    home, expected = whole
    flags = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--test_after_fit", "true"]
    output = start(home, "fit", "--config", "small.yaml", "--name", "two", *flags, terminal=True).end()
    run = home / "lightning_logs/two/version_0"
    # Layers that are fresh move their statistics by each process's half of a batch: near, not equal.
    losses = [[float(row["val/loss"]) for row in rows(folder) if "val/loss" in row] for folder in (expected, run)]
    assert sorted(losses[1]) == pytest.approx(sorted(losses[0]), rel=0.3)
    assert output.count("What trained") == 1 and "Traceback" not in output
    results = json.loads((run / "results.json").read_text())
    with open(run / "predictions_test.csv", newline="") as file:
        table = [(row["id"], row["class"]) for row in csv.DictReader(file)]
    assert len(table) == len(set(table)) == 2 * 5 and results["test/dice"]["value"] >= 0


def test_predictions_of_two_processes_are_those_of_one(whole):
    home, run = whole
    written = {}
    for devices in ("1", "2"):
        out = home / f"predicted_{devices}"
        flags = ["--trainer.devices", devices, *(["--trainer.strategy", "ddp"] if devices == "2" else [])]
        output = start(home, "predict", str(run), *flags, "--output", str(out)).end()
        assert "Traceback" not in output and "Written to" in output
        written[devices] = {path.name: np.load(path) for path in (out / "masks").glob("*.npy")}
        assert len(list((out / "masks/overlays").glob("*.png"))) == len(written[devices]) == 5
    assert all(np.array_equal(mask, written["2"][name]) for name, mask in written["1"].items())


def test_a_predicted_volume_opens_where_its_image_lies(tmp_path):
    """Drawn volumes train; what they are asked about is an oblique, flipped NIfTI file."""
    turn = np.array([[0.0, -0.96, -0.28], [1.0, 0.0, 0.0], [0.0, 0.28, -0.96]]) @ np.diag([5.0, 5.0, 6.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn, (30, -70, 12)
    rng = np.random.default_rng(0)
    image = nibabel.Nifti1Image(rng.integers(-200, 200, (40, 44, 30), dtype=np.int16), affine)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    few = ["--data.patients", "4", "--data.test_patients", "3", "--data.patches_per_case", "1"]
    few += ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1", "--test_after_fit", "false"]
    Process(tmp_path, "fit", "--config", "demo_volumes", *few, "--model.decoder_channels", "[8,8]").end()
    run = tmp_path / "lightning_logs/demo_volumes/version_0"
    assert json.loads((run / "preprocessing.json").read_text())["spacing"]
    flags = ["--input", "scan.nii.gz", "--output", "out", "--model.probabilities", "true"]
    Process(tmp_path, "predict", str(run), *flags).end()
    mask = nibabel.load(tmp_path / "out/masks/scan.nii.gz")
    assert mask.shape == image.shape and np.array_equal(mask.affine, nibabel.load(tmp_path / "scan.nii.gz").affine)
    assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1, 2}
    chances = np.load(tmp_path / "out/masks/scan_probabilities.npz")["probabilities"]
    assert chances.shape[0] == 2 and sorted(chances.shape[1:]) == sorted(image.shape)
