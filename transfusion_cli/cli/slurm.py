"""Jobs of the SLURM scheduler that start again."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from transfusion_cli.reports.environment import slurm_job
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.signals import known
from transfusion_cli.versions import versions

WARNINGS = known("SIGUSR1", "SIGUSR2")
"""What a job is sent before its time is up (``--signal=USR1@90``), so that it may ask for more."""


def requeue(number: signal.Signals) -> str | None:
    """Ask the scheduler to start this job again, where it gave a warning, or lets another job take its place.

    Returns:
        What came of it, in a few words; None where nothing was to be asked.
    """
    job = slurm_job()
    if job is None or not (number in WARNINGS or (number == signal.SIGTERM and _preempted(job))):
        return None
    if refused := _scontrol("requeue", job)[1]:
        return f"job {job} could not be requeued: {refused}"
    return f"job {job} is requeued and goes on from there"


def _preempted(job: str) -> bool:
    """Whether it has its grace time, after which SLURM would requeue it itself, but not where it has ended by then."""
    return bool(re.search(r"\bPreemptTime=\d", _scontrol("show", "job", job)[0]))


def _scontrol(*words: str) -> tuple[str, str]:
    """What it says, and why it failed, if it did."""
    try:
        answer = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    failed = answer.stderr.strip() or answer.stdout.strip() or f"exit code {answer.returncode}"
    return answer.stdout, failed if answer.returncode else ""


def begun_run(root: Path, name: str) -> RunFolder | None:
    """The run folder that this command made in an earlier life of its job, if it has one to go on from."""
    job = slurm_job()
    if job is None or int(os.environ.get("SLURM_RESTART_COUNT") or 0) == 0:
        return None
    runs = RunFolder.versions_of(root / name)
    return next((run for run in runs if run.last.is_file() and _made_by(run, job)), None)


def _made_by(run: RunFolder, job: str) -> bool:
    for path in versions(run.environment):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            made = facts.get("slurm_job") == job and facts.get("command") == sys.argv[1:]
        except (OSError, ValueError, AttributeError):  # damaged, and another attempt's tells
            continue
        if made:
            return True
    return False
