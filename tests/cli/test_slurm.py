"""What is asked of the scheduler, and which run a requeued job goes on with."""

import json
import os
import signal
import sys

import pytest

from transfusion_cli.cli import slurm


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A job, and a ``scontrol`` that notes what it was asked, and says what it is told to; an ``error`` is one."""
    script, says = tmp_path / "scontrol", tmp_path / "says"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {says}\n! grep -q "^error" {says}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)

    def answers(number, text="", asked=()):
        says.write_text(text)
        (tmp_path / "asked").write_text("")
        told = slurm.requeue(number)
        assert (tmp_path / "asked").read_text().splitlines() == list(asked)
        return told

    return answers


def test_a_warning_requeues(scontrol):
    assert scontrol(signal.SIGUSR1, asked=["requeue 4711"]) == "job 4711 is requeued and goes on from there"
    assert scontrol(signal.SIGUSR2, asked=["requeue 4711"]) == "job 4711 is requeued and goes on from there"
    assert scontrol(signal.SIGINT) is None
    failed = scontrol(signal.SIGUSR1, "error: Requested operation is disabled", ["requeue 4711"])
    assert failed == "job 4711 could not be requeued: error: Requested operation is disabled"


def test_an_end_requeues_where_another_job_takes_the_place(scontrol):
    """With a grace time SLURM sends SIGTERM first, and does not requeue a job that ends on it."""
    show = "show job 4711"
    assert scontrol(signal.SIGTERM, "JobState=RUNNING\n   PreemptEligibleTime=2026-01-01T00:00:00", [show]) is None
    assert scontrol(signal.SIGTERM, "   PreemptTime=None\n", [show]) is None
    told = scontrol(signal.SIGTERM, "JobState=RUNNING\n   PreemptTime=2026-01-01T00:00:00\n", [show, "requeue 4711"])
    assert told == "job 4711 is requeued and goes on from there"


def test_a_task_of_an_array_is_asked_for_by_its_own_name(scontrol, monkeypatch):
    """The last task has the array's own id: asked for by that, all of them would start again."""
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    scontrol(signal.SIGUSR1, asked=["requeue 4711_1"])


def test_no_scheduler(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slurm.requeue(signal.SIGUSR1) is None


def test_no_scontrol(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("PATH", "")
    assert "could not be requeued" in slurm.requeue(signal.SIGUSR1)
    assert slurm.requeue(signal.SIGTERM) is None


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three runs of one job, the newest of them made by a machine whose clock is days behind; two have begun."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    for number in (2, 9, 10, 11):
        run = tmp_path / "name" / f"version_{number}"
        (run / "checkpoints").mkdir(parents=True)
        if number < 11:
            (run / "checkpoints" / "last.ckpt").touch()
        (run / "environment.json").write_text(json.dumps({"slurm_job": "7", "command": sys.argv[1:]}))
        os.utime(run, (1e9 - number, 1e9 - number))
    return tmp_path


def test_the_newest_by_its_number_whatever_the_clocks_say(runs):
    assert slurm.begun_run(runs, "name").path.name == "version_10"


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", "null", "\x00"])
def test_a_damaged_file_is_passed_over(runs, content):
    (runs / "name/version_10/environment.json").write_text(content)
    assert slurm.begun_run(runs, "name").path.name == "version_9"
