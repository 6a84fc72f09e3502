"""What ends a run from outside costs nothing that was trained, and is told in a line or two."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.faults import (
    TASK,
    ctrl_c,
    ctrl_c_twice,
    die,
    fault,
    no_device_memory,
    nobody_reads,
    terminate,
    worker_dies,
)
from support.forked import Forked
from support.processes import COMMAND, Process

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: support.tiny.TinyDataModule
  init_args: {train: 32, other: 16, side: 16, image_size: 16, batch_size: 8, num_workers: 0}
model:
  backbone: cifar_resnet20
  pretrained: false
  transfer: {class_path: BatchNormAffine, init_args: {head_epochs: 1}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 5.0e-2, momentum: 0.9}}
trainer: {max_epochs: 2, accelerator: cpu, devices: 1, log_every_n_steps: 1}
"""
STEPS = 4
"""Optimizer steps of an epoch; there are two epochs, each a phase."""

FIT = ("fit", "--config", "tiny.yaml", "--name")
HERE = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder above all runs; nothing disturbed the one called whole."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "tiny.yaml").write_text(CONFIG)
    Forked(folder, *FIT, "whole").end()
    return folder


def run_of(home: Path, name: str) -> Path:
    return home / "lightning_logs" / name / "version_0"


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return sorted(({k: v for k, v in row.items() if v} for row in csv.DictReader(file)), key=str)


def resumes(home: Path, name: str) -> None:
    """The run goes on, and ends as the undisturbed one did: the same numbers, the same weights, the same files."""
    run, whole = run_of(home, name), run_of(home, "whole")
    Forked(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt")).end()
    assert rows(run) == rows(whole)
    for file in ("best.ckpt", "last.ckpt"):
        one, two = (torch.load(path / "checkpoints" / file, weights_only=True) for path in (run, whole))
        assert one["global_step"] == two["global_step"]
        assert all(torch.equal(one["state_dict"][key], value) for key, value in two["state_dict"].items()), file
    assert sorted(os.listdir(run / "checkpoints")) == sorted(os.listdir(whole / "checkpoints"))
    assert sorted(os.listdir(run.parent)) == ["latest", "version_0"]


def files(home: Path) -> list[Path]:
    """All there are, but for the events that TensorBoard begins as soon as it is there."""
    return sorted(path for path in home.rglob("*") if not path.name.startswith("events"))


def last_words(text: str) -> list[str]:
    """What it said of its end."""
    assert "Traceback" not in text and "Exception" not in text
    said = re.split(
        r"(?m)transfusion: |^(?=Stopped)", text
    )  # the former may stand behind the bar of a process that died
    assert len(said) > 1, text
    return [line for line in said[-1].splitlines() if line.strip()]


KILLED = {
    "mid_epoch": (f"{TASK}.training_step", STEPS + 3, False),
    "validation": (f"{TASK}.validation_step", 2 + 2 + 2 + 1, False),  # after two sanity checks and an epoch
    "writing_last": ("torch:save", 2, True),
    "between_best_and_last": ("transfusion_cli.training.run_checkpoint:RunCheckpoint.write_last", 2, False),
    "between_phases": ("transfusion_cli.training.trainer:Trainer._enter_next_phase", 1, False),
    "metrics": ("csv:DictWriter.writerows", 7, False),
    "delta": ("transfusion_cli.cli.recording:save_delta", 1, False),
}
"""Where a run is killed that has something to go on from: a function, at which call, and whether after it."""


@pytest.mark.parametrize("place", KILLED)
def test_killed_anywhere_it_ends_as_if_nothing_had_been(place, home):
    function, count, after = KILLED[place]
    Forked(home, *FIT, place, fault=fault(function, die, count, after)).end(-signal.SIGKILL)
    resumes(home, place)


def test_killed_before_the_first_step_it_is_not_the_latest(home):
    Forked(home, *FIT, "first", fault=fault(f"{TASK}.training_step", die)).end(-signal.SIGKILL)
    assert os.listdir(home / "lightning_logs/first") == ["version_0"]


@pytest.mark.parametrize(("step", "terminal"), [("training", False), ("validation", True)])
def test_ctrl_c_keeps_all_that_was_done(step, terminal, home):
    name, count = f"typed_{step}_{terminal}", {"training": STEPS + 2, "validation": 7}[step]
    flags = ["--data.num_workers", "2"]
    process = Forked(home, *FIT, name, *flags, terminal=terminal, fault=fault(f"{TASK}.{step}_step", ctrl_c, count))
    text = process.end(128 + signal.SIGINT)
    assert text.count("SIGINT: stopping after this step (or validation); press Ctrl-C again to stop at once.") == 1
    (line,) = last_words(text)
    assert line.startswith("Stopped. Resume with: transfusion fit --ckpt_path ")
    done = torch.load(run_of(home, name) / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert done == {"training": STEPS + 2, "validation": 2 * STEPS}[step]
    resumes(home, name)


def test_ctrl_c_twice_ends_at_once(home):
    flags = ["--data.num_workers", "2"]
    twice = fault(f"{TASK}.training_step", ctrl_c_twice, STEPS + 2)
    (line,) = last_words(Forked(home, *FIT, "twice", *flags, terminal=True, fault=twice).end(128 + signal.SIGINT))
    assert "Resume with: transfusion fit --ckpt_path" in line
    resumes(home, "twice")


WHOLE = "lightning_logs/whole/version_0"
BEST = f"{WHOLE}/checkpoints/best.ckpt"
CONFIGURED = ("--config", "tiny.yaml")
TABLE = "transfusion_cli.data.base:check_classes"
EARLY = {
    "fit_data": ([*FIT, "early"], TABLE, "There is no checkpoint"),
    "fit_model": ([*FIT, "early"], "transfusion_cli.tasks.network:Recipe._create", "There is no checkpoint"),
    "fit_sanity": ([*FIT, "early"], f"{TASK}.validation_step", "There is no checkpoint"),
    "validate": (["validate", "--ckpt_path", BEST], f"{TASK}.validation_step", "No results were written."),
    "test": (["test", "--ckpt_path", BEST], f"{TASK}.test_step", "No results were written."),
    "predict": (["predict", "--ckpt_path", BEST], f"{TASK}.predict_step", "No predictions were written."),
    "check": (["check", *CONFIGURED], f"{TASK}.training_step", "Nothing was written."),
    "data check": (["data", "check", *CONFIGURED], "transfusion_cli.inspection.scan:_results", "Nothing was written."),
    "data prepare": (["data", "prepare", *CONFIGURED], TABLE, "The same command goes on from here."),
    "analyze": (["analyze", BEST, f"init:{BEST}"], TABLE, "The same command starts again."),
    "compare": (
        ["compare", WHOLE],
        "transfusion_cli.cli.compare:group_runs",
        "The same command starts again.",
    ),
}
"""Commands that are stopped as soon as a function is called, and what they say of it."""


@pytest.mark.parametrize("case", EARLY)
def test_where_nothing_is_saved_nothing_is_resumed(case, home):
    args, place, words = EARLY[case]
    before = files(home)
    stop, number = (terminate, signal.SIGTERM) if case == "fit_model" else (ctrl_c, signal.SIGINT)
    text = Forked(home, *args, terminal=True, fault=fault(place, stop)).end(128 + number)
    (line,) = last_words(text)
    assert line.startswith("Stopped") and words in line and "Resume" not in line
    assert files(home) == before


@pytest.mark.parametrize("step", ["training", "validation"])
def test_a_killed_worker_costs_nothing(step, home):
    """All are killed, in the second epoch, with more to load than they had ready."""
    name, flags = f"worker_{step}", ["--data.num_workers", "1"]
    count = {"training": STEPS + 1, "validation": 7}[step]
    loads = fault(f"{TASK}.{step}_step", worker_dies, count)
    lines = last_words(Forked(home, *FIT, name, *flags, terminal=True, fault=loads).end(1))
    assert len(lines) == 2 and "killed by the system" in lines[0] and "--data.num_workers" in lines[1]
    assert "resume with: transfusion fit --ckpt_path " in lines[1]
    resumes(home, name)


def test_no_memory_on_the_device(home):
    full = fault(f"{TASK}.training_step", no_device_memory, STEPS + 2)
    lines = last_words(Forked(home, *FIT, "memory", terminal=True, fault=full).end(1))
    assert len(lines) == 2 and "ran out of memory" in lines[0] and "--data.batch_size" in lines[1]
    assert "resume with: transfusion fit --ckpt_path " in lines[1]
    resumes(home, "memory")
    Forked(home, *FIT, "memory1", fault=fault(f"{TASK}.training_step", no_device_memory)).end(1)
    assert not (home / "lightning_logs/memory1").exists()


@pytest.mark.parametrize("reader", ["| true", "2>&1 | true", ">&-"])
def test_a_list_that_nobody_reads(reader, tmp_path):
    command = f"{sys.executable} {COMMAND} list datasets {reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0 if reader == ">&-" else 128 + signal.SIGPIPE, "", "")


def test_a_run_whose_output_nobody_reads_is_saved(home):
    process = Forked(home, *FIT, "unread", fault=fault(f"{TASK}.training_step", nobody_reads, 2))
    text = process.end(128 + signal.SIGPIPE)
    (line,) = last_words(text)
    assert "nobody reads" in line and "Resume with: transfusion fit --ckpt_path " in line
    resumes(home, "unread")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_of_several_is_killed(rank, home):
    flags = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_epochs", "60"]
    name = f"rank{rank}"
    process = Process(home, *FIT, name, *flags, **HERE)
    process.wait_for(lambda: (run_of(home, name) / "checkpoints/last.ckpt").exists())
    first = process.process.pid
    (second,) = (int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split())
    os.kill(second if rank else first, signal.SIGKILL)
    text = process.end(1 if rank else -signal.SIGKILL, seconds=60)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{second}").exists() and _state(second) != "Z" and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = last_words(process.text)
    assert "Another process of this run ended" in lines[0] and len(lines) == 2, text
    path = lines[1].split("--ckpt_path ")[1].split()[0]
    if rank:
        return
    epochs = torch.load(home / path, weights_only=True)["epoch"] + 2
    alone = ["--trainer.max_epochs", str(epochs), "--trainer.devices", "1", "--trainer.strategy", "auto"]
    Forked(home, "fit", "--ckpt_path", path, *alone).end()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
