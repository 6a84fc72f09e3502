"""A disk that really is full, and one that really is mounted read-only, under the installed command."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import write_configs
from support.processes import COMMAND

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
    variables = {**os.environ, "TRANSFUSION_TRUST": "support", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stderr.splitlines()


@pytest.fixture
def home(tmp_path):
    write_configs(tmp_path)
    (tmp_path / "disk").mkdir()
    return tmp_path


FIT = "fit --config bn.yaml --root disk --trainer.enable_progress_bar true --model.optimizer.lr 0.01"


@pytest.mark.parametrize("kilobytes, missing", [(600, "best.ckpt"), (1500, "best.ckpt")])
def test_full(home, kilobytes, missing):
    """Full at the first checkpoint; at the second, which needs room beside the first, and goes on from there."""
    epochs = "" if kilobytes < 1000 else " --trainer.max_epochs 9 --checkpoint.monitor val/loss --checkpoint.mode min"
    said = run(home, f"mount -t tmpfs -o size={kilobytes}k none disk", FIT + epochs, 1)
    (checkpoints,) = (home / "after").glob("bn/version_0/checkpoints")
    what, cure = said[-2:]
    assert "/checkpoints/" in what and ": No space left on device; " in what and what.endswith(" MB are free there")
    assert not [path for path in checkpoints.iterdir() if path.suffix == ".partial"]
    if kilobytes < 1000:
        assert cure == "Free some space there, then type the same command again" and not list(checkpoints.iterdir())
        return
    assert cure.startswith("Free some space there, then resume with: transfusion fit --ckpt_path disk/bn/version_0/")
    (home / "disk").rmdir()
    (home / "after").rename(home / "disk")
    resumed = shlex.split(cure.partition("transfusion ")[2])
    run(home, "true", shlex.join([*resumed, "--trainer.max_epochs", "3", "--trainer.enable_progress_bar", "false"]), 0)


def test_read_only(home):
    run(home, "true", FIT, 0)
    mount = "mount --bind after disk && mount -o remount,ro,bind disk"
    (home / "after").rename(home / "run")
    mount = mount.replace("after", "run")
    best = "--ckpt_path disk/bn/version_0/checkpoints/best.ckpt"
    assert run(home, mount, f"test {best}", 2)[-2:] == [
        f"transfusion: Could not write {home.resolve()}/disk/bn/version_0: Read-only file system.",
        "Give another folder: --output DIR",
    ]
    run(home, mount, f"predict {best} --output elsewhere", 0)
    assert (home / "elsewhere/predictions.csv").is_file()
