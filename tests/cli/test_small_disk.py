"""A disk that really is full, and one that really is mounted read-only, under the installed command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import COMMAND

import transfusion_cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0,
        reason="mounting takes a private mount namespace",
    ),
]


def run(folder: Path, mount: str, command: str, code: int) -> list[str]:
    """What a command says, and how it ends, on a disk of its own; what is on it then is in ``folder/after``."""
    script = f"{mount} && {sys.executable} {COMMAND} {command}; code=$?; cp -r disk after; exit $code"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(transfusion_cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stderr.splitlines()


CONFIG = """\
data:
  class_path: PhantomDataModule
  init_args: {patients: 16, test_patients: 8, images_per_patient: 1, image_size: 24, batch_size: 8}
model: {backbone: cifar_resnet20.textures, transfer: HeadOnly}
trainer: {max_epochs: 2, accelerator: cpu, devices: 1}
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "bn.yaml").write_text(CONFIG)
    (tmp_path / "disk").mkdir()
    return tmp_path


FIT = "fit --config bn.yaml --root disk"


def test_full_at_the_first_checkpoint(home):
    *_, what, cure = run(home, "mount -t tmpfs -o size=900k none disk", FIT, 1)
    assert "/checkpoints/best.ckpt: No space left on device; " in what and what.endswith(" MB are free there")
    assert cure == "Free some space there, then type the same command again"
    assert not list((home / "after/bn/version_0/checkpoints").iterdir())
    assert (home / "after/bn/version_0/metrics.csv").is_file()


def test_full_at_the_second_checkpoint(home):
    """Which needs room beside the first; the run goes on from there."""
    *_, what, cure = run(home, "mount -t tmpfs -o size=2000k none disk", FIT, 1)
    assert "/checkpoints/" in what and ": No space left on device; " in what
    assert cure.startswith("Free some space there, then resume with: transfusion fit --ckpt_path ")
    names = {path.name for path in (home / "after/bn/version_0/checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt"}
    (home / "disk").rmdir()
    (home / "after").rename(home / "disk")
    run(home, "true", cure.partition("transfusion ")[2], 0)
    assert (home / "disk/bn/version_0/checkpoints/delta.safetensors").is_file()


def test_read_only(home):
    run(home, "true", FIT, 0)
    (home / "after").rename(home / "run")
    mount = "mount --bind run disk && mount -o remount,ro,bind disk"
    best = "--ckpt_path disk/bn/version_0/checkpoints/best.ckpt"
    assert run(home, mount, f"test {best}", 2)[-2:] == [
        f"transfusion: Could not write {home.resolve()}/disk/bn/version_0: Read-only file system.",
        "Give another folder: --output DIR",
    ]
    run(home, mount, f"predict {best} --output elsewhere", 0)
    assert (home / "elsewhere/predictions.csv").is_file()
