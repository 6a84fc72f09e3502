"""Which run a requeued job goes on with."""

import json
import os
import sys

import pytest

from transfusion_cli.cli.slurm import begun_run


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
    assert begun_run(runs, "name").name == "version_10"


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", "null", "\x00"])
def test_a_damaged_file_is_passed_over(runs, content):
    (runs / "name/version_10/environment.json").write_text(content)
    assert begun_run(runs, "name").name == "version_9"
