"""What a run looks like on a terminal and in a log file."""

import re

import pytest
from support.processes import Process
from support.screen import screen

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: PhantomDataModule
  init_args: {patients: 32, test_patients: 16, image_size: 24, batch_size: 8}
model:
  backbone: cifar_resnet20.textures
  transfer: {class_path: BatchNormAffine, init_args: {head_epochs: 1}}
trainer: {max_epochs: 2, accelerator: cpu, devices: 1, log_every_n_steps: 1}
"""
LINE = r"epoch {} of 2  train/loss \d\.\d+  val/loss \d\.\d+  val/auroc \d\.\d+(?: \(best\))?  \d+ s"


def closing(lines):
    """The best epoch, and what to type next."""
    best = lines[lines.index("Best epoch") + 1]
    next_ones = lines[lines.index("Next") + 1 :]
    assert re.fullmatch(r"[12] of 2: val/auroc \d\.\d{4}, lightning_logs/small/version_\d/checkpoints/best.ckpt", best)
    assert [line.split()[0] for line in next_ones if line] == ["curves", "test", "predict", "resume"]
    return best


def test_in_a_terminal_each_epoch_leaves_a_line(tmp_path):
    (tmp_path / "small.yaml").write_text(CONFIG)
    output = Process(tmp_path, "fit", "--config", "small.yaml", terminal=True).end()
    assert "%|" in output  # bars moved
    lines = screen(output)
    assert [bool(re.fullmatch(LINE.format(n), line)) for n, line in enumerate(lines[8:11:2], 1)] == [True] * 2, lines
    assert lines[9] == "Phase 2 of 2: scale_and_shift"
    assert not any("|" in line for line in lines)
    assert lines[11:13] == ["", "Best epoch"]
    closing(lines)


def test_a_log_file_of_two_processes_and_of_evaluation(tmp_path):
    (tmp_path / "small.yaml").write_text(CONFIG)
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.val_check_interval", "0.5"]
    output = Process(tmp_path, "fit", "--config", "small.yaml", *two, SLURM_JOB_NAME="", TERM="dumb").end()
    assert "\r" not in output and "it/s" not in output
    lines = output.splitlines()
    told = [line for line in lines if line.startswith("epoch")]
    places = ["epoch {} of 2, batch 4 of 9", "epoch {} of 2, batch 8 of 9", "epoch {} of 2"]
    assert [line.partition("  ")[0] for line in told] == [place.format(n) for n in (1, 2) for place in places]
    best = closing(lines)
    (marked,) = [line for line in told if "(best)" in line][-1:]
    assert best.split()[4].rstrip(",") in marked
    output = Process(tmp_path, "test", "lightning_logs/small/latest").end()
    assert "\r" not in output and "%|" not in output and "auroc" in output
    assert (tmp_path / "lightning_logs/small/latest/predictions_test.csv").is_file()
