"""``HeadOnly`` with ``cache``, typed: results, checkpoints, kills and processes are those of a run on images."""

import json
import signal

import pytest
import torch
from support.commands import mistake, transfusion
from support.faults import die, fault
from support.forked import Forked
from support.processes import Process

pytestmark = pytest.mark.slow  # tests/strategies/test_cached_head.py has what is quick

CONFIG = """\
data:
  class_path: PhantomDataModule
  init_args: {{patients: 40, test_patients: 16, image_size: 24, batch_size: 8, augmentation: null, num_workers: 0}}
model:
  backbone: cifar_resnet20.textures
  dropout: 0.2
  transfer:
    class_path: HeadOnly
    init_args: {{cache: {cache}, {options}}}
trainer:
  max_epochs: 4
  accelerator: cpu
  devices: 1
  log_every_n_steps: 1
  enable_progress_bar: false
test_after_fit: true
"""


def config(home, name, cache="features", options=""):
    """Write a config into a folder."""
    (home / f"{name}.yaml").write_text(CONFIG.format(cache=cache, options=options))
    return home / "lightning_logs" / name / "version_0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run on images, one on features, and one along penalties, in one folder."""
    home = tmp_path_factory.mktemp("cached")
    folders = {
        "live": config(home, "live", cache="false"),
        "cached": config(home, "cached"),
        "penalties": config(home, "penalties", options="l2: [1, 1.0e-4, 1.0e-2, 100]"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name in folders:
            transfusion(f"fit --config {name}.yaml")
    return home, folders


def results(run, number=""):
    """What a test found, without where and when."""
    found = json.loads((run / f"results{number}.json").read_text())
    del found["provenance"]
    return found


def assert_alike(one, two):
    """The same numbers to rounding."""
    assert one.keys() == two.keys()
    for name, entry in one.items():
        assert two[name] == pytest.approx(entry, abs=1e-5) if isinstance(entry, dict) else two[name] == entry, name


def test_results_are_those_of_the_run_on_images(runs):
    home, folders = runs
    live, cached = results(folders["live"]), results(folders["cached"])
    assert_alike(live, cached)
    assert live["test/auroc"]["value"] > 0.5
    assert len(list((home / "features").glob("*.npy"))) == 2
    assert (folders["cached"] / "predictions_test.csv").exists()


@pytest.mark.parametrize("file", ["best.ckpt", "delta.safetensors"])
def test_what_it_leaves_is_an_ordinary_checkpoint(file, runs, monkeypatch):
    home, folders = runs
    monkeypatch.chdir(home)
    run, features = folders["cached"], home / "features"
    hidden = features.rename(home / "hidden")
    try:
        transfusion(f"test --ckpt_path {run}/checkpoints/{file} --output tested_{file}")
        transfusion(f"predict --ckpt_path {run}/checkpoints/{file} --output tested_{file}")
    finally:
        hidden.rename(features)
    assert_alike(results(run), results(home / f"tested_{file}"))
    assert (home / f"tested_{file}/predictions.csv").exists()
    state = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    live = torch.load(folders["live"] / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert state.keys() == live.keys()


def test_the_penalty_is_chosen_on_validation(runs):
    run = runs[1]["penalties"]
    header, *rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    column = {name: place for place, name in enumerate(header)}
    tried = [float(row[column["train/l2"]]) for row in rows if row[column["train/l2"]]]
    aurocs = [float(row[column["val/auroc"]]) for row in rows if row[column["val/auroc"]]]
    asked = [100, 1, 1e-2, 1e-4]
    assert tried == pytest.approx(asked) and len(aurocs) == 4
    found = results(run)
    assert found["val/l2"]["value"] == asked[aurocs.index(max(aurocs))]
    assert found["val/auroc"]["value"] == pytest.approx(max(aurocs))


def test_a_run_goes_on_with_more_epochs(runs, monkeypatch):
    home, folders = runs
    monkeypatch.chdir(home)
    config(home, "shorter")
    transfusion("fit --config shorter.yaml --trainer.max_epochs 2 --test_after_fit false")
    path = home / "lightning_logs/shorter/version_0/checkpoints/last.ckpt"
    transfusion(f"fit --ckpt_path {path} --trainer.max_epochs 4")
    expected = torch.load(folders["cached"] / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, tensor in torch.load(path, weights_only=True)["state_dict"].items():
        assert torch.equal(tensor, expected[name]), name


def test_mistakes_are_told_in_three_lines(runs, monkeypatch, capsys):
    home, _ = runs
    monkeypatch.chdir(home)
    command = "fit --config cached.yaml --name wrong"
    assert "--model.transfer.views" in mistake(f"{command} --data.augmentation default", capsys)
    assert "--model.transfer.statistics frozen" in mistake(f"{command} --model.transfer.statistics update", capsys)
    assert "frozen_all" in mistake(f"{command} --model.pretrained false", capsys)
    assert "--trainer.max_epochs 17" in mistake(f"{command} --model.transfer.l2 path", capsys)
    assert not list((home / "lightning_logs").glob("wrong/*/checkpoints/*"))


def test_segmentation_is_refused_by_name(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs[0])
    flags = "--config demo_segmentation --model.transfer HeadOnly --model.transfer.cache true"
    assert "segmentation network" in mistake(f"fit {flags}", capsys)


# --- in processes of their own ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "l2: [1, 1.0e-4, 1.0e-2, 100]"], ids=["steps", "penalties"])
def test_killed_and_resumed_equals_the_whole(options, runs):
    home, folders = runs
    expected = folders["penalties" if options else "cached"]
    run = config(home, f"killed{bool(options)}", cache=f"killed_features{bool(options)}", options=options)
    second = fault("transfusion_cli.training.run_checkpoint:RunCheckpoint.write_last", die, 2, True)
    Forked(home, "fit", "--config", f"{run.parent.name}.yaml", fault=second).end(-signal.SIGKILL)
    Forked(home, "fit", "--ckpt_path", str(run / "checkpoints/last.ckpt")).end()
    assert_alike(results(expected), results(run))
    for name in ("best.ckpt", "last.ckpt"):
        one, two = (torch.load(path / "checkpoints" / name, weights_only=True) for path in (run, expected))
        for tensor, value in two["state_dict"].items():
            assert torch.equal(one["state_dict"][tensor], value), (name, tensor)


@pytest.mark.parametrize("options", ["statistics: reestimate", "l2: [1, 1.0e-2]"], ids=["steps", "penalties"])
def test_two_processes_equal_one(options, runs):
    home, _ = runs
    states = []
    for devices in (1, 2):
        run = config(home, f"by_{devices}_{options[:2]}", cache=f"by_{devices}", options=options)
        spread = ["--trainer.devices", str(devices), "--trainer.precision", "64-true", "--model.dropout", "0"]
        more = ["--trainer.strategy", "ddp"] if devices > 1 else []
        Process(home, "fit", "--config", f"{run.parent.name}.yaml", *spread, *more).end()
        states.append(torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"])
        assert len([path for path in (home / f"by_{devices}").glob("*.npy") if "-" not in path.stem]) >= 2
        assert not list((home / f"by_{devices}").glob("*-*.npy"))
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-7, atol=1e-7, msg=name)
