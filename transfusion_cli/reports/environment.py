"""On what a run ran: versions, code, device, seed."""

import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import transfusion_cli

PACKAGES = ("torch", "torchvision", "lightning", "timm", "torchmetrics", "jsonargparse", "albumentations", "numpy")


def environment(seed: int | None) -> dict[str, Any]:
    """Plain data about this machine and program; holds no name of a user, host or path beyond the command line.

    Args:
        seed: the seed of the run.
    """
    return {
        "transfusion": transfusion_cli.__version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "git": _git(),
        "seed": seed,
        "command": sys.argv[1:],
        "slurm_job": slurm_job(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def slurm_job() -> str | None:
    """The job that this process belongs to, ``123``, or ``123_4`` in an array; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Commit of the working directory and whether it has uncommitted changes; None outside a repository."""
    try:
        run = ["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]
        commit, changes = (subprocess.run(c, capture_output=True, text=True, check=True, timeout=5).stdout for c in run)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}
