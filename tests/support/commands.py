"""Commands run in the test's own process."""

import shlex

import pytest
import support.tiny  # noqa: F401  so that configs can name TinyDataModule

from transfusion_cli.cli.main import main

BASE = """\
# A run of seconds.
trainer:
  max_epochs: 1
  accelerator: cpu
  devices: 1
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
data:
  class_path: TinyDataModule
  init_args: {train: 16, other: 8}
model:
  backbone: cifar_resnet20
  pretrained: false
"""

BATCH_NORM = """\
# The same with another strategy.
extends: base.yaml
model:
  transfer: BatchNormAffine
"""


def write_configs(folder):
    """``base.yaml``, and ``bn.yaml`` that extends it."""
    (folder / "base.yaml").write_text(BASE)
    (folder / "bn.yaml").write_text(BATCH_NORM)


def ran_once(folder, command):
    """Write the configs into a folder and run a command there; gives the folder."""
    write_configs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transfusion(command)
    return folder


def transfusion(command: str):
    """Run ``transfusion COMMAND``; gives the LightningCLI object."""
    return main(shlex.split(command))


def mistake(command: str, capsys) -> str:
    """The message that a wrong command ends with: exit code 2, one to three lines on stderr, no traceback."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        transfusion(command)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    message = captured.err.rpartition("transfusion: ")[2]  # what was wrong with the data may be told before
    assert 1 <= len(message.splitlines()) <= 3, message
    assert "Traceback" not in message
    assert all(len(line) < 330 for line in message.splitlines())
    return message
