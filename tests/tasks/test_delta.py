"""Delta checkpoints: small, verified, and exact."""

import json

import pytest
import torch
from safetensors import safe_open
from support.networks import source_file
from support.runs import make_task, make_trainer, train
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import ACNorm, BatchNormAffine, FullFineTuning, HeadOnly, MeanVarInit, RandomInit
from transfusion_cli.tasks.delta import load_delta, save_delta

STRATEGIES = {
    "affine": lambda: BatchNormAffine(),
    "affine-updated": lambda: BatchNormAffine(statistics="update"),
    "full": lambda: FullFineTuning(),
    "head": lambda: HeadOnly(),
    "meanvar-affine": lambda: [MeanVarInit(), BatchNormAffine()],
    "random-affine": lambda: [RandomInit(), BatchNormAffine()],
    "acnorm": lambda: ACNorm(),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_delta_rebuilds_the_network_bit_for_bit(strategy, tmp_path):
    task, _, _ = train(tmp_path, STRATEGIES[strategy]())
    save_delta(task, tmp_path / "delta.safetensors")
    # Another seed: nothing of the rebuilt network may depend on a random draw.
    rebuilt = make_task(tmp_path, STRATEGIES[strategy](), seed=7)
    load_delta(rebuilt, tmp_path / "delta.safetensors")
    expected, state = task.state_dict(), rebuilt.state_dict()
    assert expected.keys() == state.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_it_holds_what_changed_and_nothing_else(tmp_path):
    task, _, _ = train(tmp_path, BatchNormAffine())
    size = save_delta(task, tmp_path / "delta.safetensors")
    with safe_open(tmp_path / "delta.safetensors", framework="pt") as file:
        names, metadata = set(file.keys()), file.metadata()
    assert names == {f"network.{name}" for name in task.phase.trainable} | {"mean", "std"}
    assert metadata["base_sha256"] == task.transferred.base.sha256
    assert json.loads(metadata["task"])["class_names"] == ["negative", "positive"]
    assert size == (tmp_path / "delta.safetensors").stat().st_size < 60_000


def test_test_takes_a_delta(tmp_path):
    data = TinyDataModule(train=24, other=8)
    task, _, _ = train(tmp_path, BatchNormAffine(), data=data)
    save_delta(task, tmp_path / "delta.safetensors")
    (expected,) = make_trainer(tmp_path).test(task, datamodule=data, verbose=False)
    fresh = make_task(tmp_path, BatchNormAffine())
    path = str(tmp_path / "delta.safetensors")
    (result,) = make_trainer(tmp_path).test(fresh, datamodule=data, ckpt_path=path, verbose=False)
    assert result == expected


def test_training_cannot_go_on_from_a_delta(tmp_path):
    task, _, _ = train(tmp_path, HeadOnly())
    path = tmp_path / "delta.safetensors"
    save_delta(task, path)
    with pytest.raises(UserError) as stop:
        make_trainer(tmp_path).fit(make_task(tmp_path, HeadOnly()), datamodule=TinyDataModule(), ckpt_path=str(path))
    assert "last.ckpt" in str(stop.value) and "--model.pretrained" not in str(stop.value)


def test_other_base_weights_are_refused(tmp_path):
    task, _, _ = train(tmp_path, BatchNormAffine())
    save_delta(task, tmp_path / "delta.safetensors")
    other = make_task(tmp_path, BatchNormAffine(), pretrained=source_file(tmp_path, seed=1))
    with pytest.raises(UserError, match="other base weights"):
        load_delta(other, tmp_path / "delta.safetensors")


def test_another_strategy_is_refused(tmp_path):
    task, _, _ = train(tmp_path, ACNorm())
    save_delta(task, tmp_path / "delta.safetensors")
    with pytest.raises(UserError, match="does not fit"):
        load_delta(make_task(tmp_path, FullFineTuning()), tmp_path / "delta.safetensors")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    task, _, _ = train(tmp_path, HeadOnly())
    path = tmp_path / "delta.safetensors"
    save_delta(task, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated"):
        load_delta(make_task(tmp_path, HeadOnly()), path)
    with pytest.raises(UserError, match="No delta checkpoint"):
        load_delta(make_task(tmp_path, HeadOnly()), tmp_path / "none.safetensors")


def test_a_full_disk_leaves_the_earlier_delta(tmp_path, monkeypatch):
    task, _, _ = train(tmp_path, HeadOnly())
    path = tmp_path / "delta.safetensors"
    save_delta(task, path)
    before = path.read_bytes()

    def no_space(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transfusion_cli.files.os.fsync", no_space)
    with pytest.raises(UserError, match="No space left"):
        save_delta(task, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.glob("*.partial")] == []
