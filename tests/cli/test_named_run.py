"""Runs found by their folder, the folder above or ``latest``, and what is said where that is not enough."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from support.commands import mistake, transfusion

from transfusion_cli.cli.config.flags import without
from transfusion_cli.cli.named_run import with_run
from transfusion_cli.cli.runs import in_words

HOLD = """
import sys, pathlib
from transfusion_cli.lock import FileLock
FileLock(pathlib.Path(sys.argv[1])).acquire(); print("held", flush=True); sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(name, epochs=3, of=3, files=("best.ckpt", "last.ckpt", "delta.safetensors"), age=0):
    """A run folder under ``lightning_logs``."""
    from pathlib import Path

    folder = Path("lightning_logs") / name
    (folder / "checkpoints").mkdir(parents=True)
    config = {"trainer": {"max_epochs": of}, "checkpoint": {"monitor": "val/auroc", "mode": "max"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    rows = "".join(f"{epoch},{epoch},,0.{epoch + 5}\n{epoch},{epoch},0.1,\n" for epoch in range(epochs))
    (folder / "metrics.csv").write_text(f"epoch,step,train/loss_epoch,val/auroc\n{rows}")
    for second, file in enumerate(files):
        path = folder / "checkpoints" / file
        path.touch()
        os.utime(path, (second, second))
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    return folder


def test_which_checkpoint(home):
    run, newest = a_run("a/version_2"), a_run("a/version_10")
    (home / "lightning_logs/a/latest").mkdir()
    (home / "lightning_logs/a/latest/config.yaml").symlink_to("../version_2/config.yaml")
    best, last = str(run / "checkpoints/best.ckpt"), str(run / "checkpoints/last.ckpt")
    for word, found in {
        str(run): run,
        f"{run}/": run,
        "lightning_logs/a": newest,
        "a": newest,
        "a/version_2": run,
    }.items():
        assert with_run("test", [word, "--x"]) == ["--ckpt_path", f"{found}/checkpoints/best.ckpt", "--x"], word
    for verb in ("validate", "test", "predict"):
        assert with_run(verb, ["lightning_logs/a/latest"]) == ["--ckpt_path", best]
    for flags in (["--resume", str(run)], [f"--resume={run}"]):
        assert with_run("fit", [*flags, "--trainer.max_epochs", "9"]) == [
            "--ckpt_path",
            last,
            "--trainer.max_epochs",
            "9",
        ]
    assert with_run("test", [best]) == ["--ckpt_path", best]  # a checkpoint itself
    assert with_run("test", ["--ckpt_path", best]) == ["--ckpt_path", best]
    assert with_run("fit", ["--config", "x"]) == ["--config", "x"] and with_run("check", ["a"]) == ["a"]
    (home / "lightning_logs/a/latest/config.yaml").unlink()
    (home / "lightning_logs/a/latest").rmdir()  # a file system without links
    assert with_run("test", ["a/latest"])[1] == str(newest / "checkpoints/best.ckpt")
    assert without(["--a", "1", "--b=2", "--c"], "--a") == ["--b=2", "--c"] == without(["--b=2", "--c"], "--a")


def test_what_cannot_be_meant(home, capsys):
    run = a_run("a/version_0", files=["last.ckpt", "best.ckpt", "delta.safetensors"])
    a_run("b/version_0", epochs=2, files=["last.ckpt"])
    a_run("c/version_0", files=["best.ckpt", "last.ckpt", "delta.safetensors"])
    empty = a_run("c/version_1", epochs=0, files=[])
    for command, words in {
        "test nothing": ["no run 'nothing'", "transfusion runs lightning_logs"],
        "test lightning_logs": ["3 names", "lightning_logs/a", "transfusion test lightning_logs/a"],
        "fit --resume lightning_logs": ["transfusion fit --resume lightning_logs/a"],
        "test c": [
            "c/version_1 has no checkpoints/best.ckpt",
            "failed, after 0 of 3",
            "transfusion test lightning_logs/c/version_0",
        ],
        "predict b": ["stopped, after 2 of 3", "transfusion fit --resume lightning_logs/b/version_0"],
        "fit --resume c": ["c/version_1", "Start it anew", f"{empty}/config.yaml"],
        "fit --resume a": [
            "a/version_0 is finished: 3 of 3 epochs",
            "--resume lightning_logs/a/version_0 --trainer.max_epochs 6",
        ],
        "fit --resume": ["--resume takes a run"],
        f"test a --ckpt_path {run}/checkpoints/best.ckpt": ["Give one of them"],
        "predict a --input nowhere": ["nothing at nowhere"],
    }.items():
        message = mistake(command, capsys)
        for word in words:
            assert word in message, command
    assert not list(home.glob("lightning_logs/*/version_[2-9]"))


def test_runs_are_listed_with_what_became_of_them(home, capsys):
    a_run("full/version_0", age=3 * 86400)
    a_run("early/version_0", epochs=2, age=7200)  # stopped early
    a_run("cut/version_0", epochs=2, files=["best.ckpt", "delta.safetensors", "last.ckpt"], age=600)  # resumed since
    a_run("broken/version_0", epochs=0, of=-1, files=[], age=60)
    (a_run("odd/version_0", age=90000) / "config.yaml").write_text("{")
    busy = a_run("busy/version_0", epochs=1, files=["last.ckpt"])
    os.utime(home / "lightning_logs/odd/version_0/config.yaml", (0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(busy / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        transfusion("runs")
        with pytest.raises(SystemExit):
            transfusion("test busy")
        process.stdin.close()
    captured = capsys.readouterr()
    assert "it is running, after 1 of 3 epochs" in captured.err
    lines = [" ".join(line.split()) for line in captured.out.splitlines()]
    assert lines[0] == "state epochs best age run"
    assert lines[1].startswith("running 1 of 3 val/auroc 0.5000 ")
    assert lines[2:] == [
        "failed 0 1 min lightning_logs/broken/version_0",
        "stopped 2 of 3 val/auroc 0.6000 10 min lightning_logs/cut/version_0",
        "finished 2 of 3 val/auroc 0.6000 2 h lightning_logs/early/version_0",
        "unreadable 1 d lightning_logs/odd/version_0",
        "finished 3 of 3 val/auroc 0.7000 3 d lightning_logs/full/version_0",
    ]
    transfusion("runs lightning_logs/full")
    assert "full/version_0" in capsys.readouterr().out
    transfusion(f"runs {home / 'lightning_logs/full/version_0/checkpoints'}")
    assert "There are no runs" in capsys.readouterr().out
    assert "no folder nowhere" in mistake("runs nowhere", capsys)
    assert "transfusion runs --help" in mistake("runs a b", capsys)


def test_ages():
    assert [in_words(seconds) for seconds in (-1, 59, 60, 7199, 90000)] == ["0 s", "59 s", "1 min", "1 h", "1 d"]


def test_runs_and_mistakes_need_no_torch(home):
    a_run("a/version_0")
    code = (
        "import sys\n"
        "from transfusion_cli.cli.main import main\n"
        "for args in (['runs'], ['runs', '--help'], ['test', 'nothing'], ['fit', '--resume', 'a']):\n"
        "    try: main(args)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'jsonargparse', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "finished  3 of 3" in done.stdout and "no run 'nothing'" in done.stderr and "is finished" in done.stderr


def test_compare_names_versions(home, capsys):
    for number in range(5):
        folder = a_run(f"a/version_{number}")
        (folder / "results.json").write_text(json.dumps({"provenance": {"own_split": True}}))
    a_run("b/version_7", of=4)
    transfusion("compare a b")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("a (version_0, version_1, version_2, and 2 more)")
    assert lines[3].startswith("b (version_7)")
