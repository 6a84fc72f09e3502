"""Two processes train the network that one trains: a statement about gradients and statistics, made in float64."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import spread_runs
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import BatchNormAffine, FullFineTuning
from transfusion_cli.training.spread import check_spread

pytestmark = pytest.mark.slow

TOLERANCE = 1e-8
"""Steps of SGD multiply rounding errors of 1e-16; a gradient that is wrong by one sample is wrong by 1e-3."""


def start(folder: Path, processes: int, rank: int, port: int) -> subprocess.Popen:
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    path = f"{Path(spread_runs.__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": path, **(variables if processes > 1 else {})}
    command = [sys.executable, spread_runs.__file__, str(folder), str(processes)]
    # Into files: a pipe that nobody reads fills, and the process that writes to it waits for ever.
    with said(folder, processes, rank).open("w") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)


def said(folder: Path, processes: int, rank: int) -> Path:
    return folder / f"{rank}-of-{processes}.txt"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All runs by one process, and by two."""
    folder = tmp_path_factory.mktemp("spread")
    for processes in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = [start(folder, processes, rank, port) for rank in range(processes)]
        try:
            for rank, process in enumerate(started):
                assert process.wait(timeout=1200) == 0, said(folder, processes, rank).read_text()[-3000:]
                assert "Warning: torch." not in said(folder, processes, rank).read_text()
        finally:
            for process in started:
                process.kill()
    return [torch.load(folder / name, weights_only=True) for name in ("1-process.pt", "2-processes.pt")]


@pytest.mark.parametrize("what", spread_runs.RUNS, ids=lambda what: "-".join(map(str, what)))
def test_two_processes_equal_one(what, runs):
    one, two = (results[what] for results in runs)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")


def test_it_is_said_what_several_processes_change(tmp_path, caplog):
    task = make_task(tmp_path, FullFineTuning())
    task.build()
    trainer = make_trainer(tmp_path, strategy="ddp", devices=2)
    check_spread(trainer, task)
    assert "the run is not that of one process. On GPUs, --trainer.sync_batchnorm true makes it so." in caplog.text
    caplog.clear()
    frozen = make_task(tmp_path, BatchNormAffine())
    frozen.build()
    check_spread(trainer, frozen)
    assert not caplog.text


def test_synchronised_batch_norm_needs_gpus(tmp_path):
    task = make_task(tmp_path, FullFineTuning())
    trainer = make_trainer(tmp_path, strategy="ddp", devices=2, sync_batchnorm=True)
    with pytest.raises(UserError, match="needs GPUs"):
        trainer.fit(task, datamodule=TinyDataModule())
