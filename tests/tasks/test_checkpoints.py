"""Checkpoints that cannot be used say why; checkpoints that cannot be written cost none."""

import errno
import pickle

import pytest
import torch
from support.flips import flipped_bits
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.errors import Fault, UserError
from transfusion_cli.strategies import HeadOnly
from transfusion_cli.tasks.checkpoints import AtomicCheckpointIO, read_checkpoint
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.restore import saved_arguments


@pytest.fixture
def checkpoint(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit(make_task(tmp_path, HeadOnly()), datamodule=TinyDataModule(train=16, other=8))
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    return tmp_path / "run.ckpt"


class Evil:
    def __reduce__(self):
        return print, ("this code must never run",)


def refused(path, task, pattern):
    with pytest.raises(UserError, match=pattern) as caught:
        make_trainer(path.parent).test(task, datamodule=TinyDataModule(task.target), ckpt_path=str(path), verbose=False)
    assert 1 <= len(str(caught.value).splitlines()) <= 3


def test_missing(tmp_path):
    refused(tmp_path / "none.ckpt", make_task(tmp_path), "No checkpoint at")


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_truncated(checkpoint, keep, tmp_path):
    checkpoint.write_bytes(checkpoint.read_bytes()[:keep])
    refused(checkpoint, make_task(tmp_path), "truncated|damaged")


def is_same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and one == other


def test_a_flipped_bit_is_seen_or_changes_nothing(checkpoint):
    """At two hundred places, drawn by chance: best.ckpt is read by everything that evaluates, publishes or goes on."""
    saved = read_checkpoint(checkpoint)
    refused = 0
    for where in flipped_bits(checkpoint, 200):
        try:
            assert is_same(read_checkpoint(checkpoint), saved), where
        except UserError as error:
            assert len(str(error).splitlines()) == 2 and "damaged" in str(error)
            refused += 1
    assert refused > 150


def test_every_reader_sees_it(checkpoint, tmp_path):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    task, data, path = make_task(tmp_path, HeadOnly()), TinyDataModule(train=16, other=8), str(checkpoint)
    trainer = make_trainer(tmp_path)
    for read in (
        lambda: trainer.fit(task, datamodule=data, ckpt_path=path),
        lambda: trainer.validate(task, datamodule=data, ckpt_path=path),
        lambda: trainer.test(task, datamodule=data, ckpt_path=path),
        lambda: trainer.predict(task, datamodule=data, ckpt_path=path),
        lambda: ClassificationTask.load_from_checkpoint(path),
        lambda: saved_arguments(path),
        lambda: make_task(tmp_path, pretrained=path).build(),
    ):
        with pytest.raises(UserError, match=r"damaged|is it complete"):
            read()


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "transfusion": Evil()}, path)
    refused(path, make_task(tmp_path), "pickled code and was refused")
    path.write_bytes(pickle.dumps(Evil()))
    refused(path, make_task(tmp_path), "refused|damaged|truncated")
    assert "must never run" not in capsys.readouterr().out


def test_of_another_program(tmp_path):
    torch.save({"state_dict": {"conv.weight": torch.zeros(1)}}, tmp_path / "foreign.ckpt")
    refused(
        tmp_path / "foreign.ckpt",
        make_task(tmp_path),
        "not a checkpoint of a transfusion run\n?.*\n?.*--model.pretrained",
    )


def test_of_another_backbone(checkpoint, tmp_path):
    refused(checkpoint, make_task(tmp_path, HeadOnly(), backbone="cifar_resnet32"), "holds a cifar_resnet20")


def test_of_other_classes(checkpoint, tmp_path):
    refused(checkpoint, make_task(tmp_path, HeadOnly(), kind="multiclass"), "trained on 2 classes")


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"transfusion": {}, "n": 1}, path)

    def full(checkpoint, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Fault, match=r"last.ckpt: No space left on device; [\d.,]+ MB are free there\nFree some space"):
        io.save_checkpoint({"transfusion": {}, "n": 2}, path)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True)["n"] == 1
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


def test_a_nan_loss_stops_the_run_and_is_never_saved(tmp_path):
    task = make_task(tmp_path, HeadOnly())
    task.build()
    trainer = make_trainer(tmp_path, epochs=3)
    broken = TinyDataModule(train=16, other=8)
    with torch.no_grad():
        task.network.fc.bias.fill_(torch.nan)
    with pytest.raises(UserError, match="NaN or infinite at batch 0") as caught:
        trainer.fit(task, datamodule=broken)
    assert len(str(caught.value).splitlines()) <= 3
    with pytest.raises(UserError, match="NaN"):
        trainer.save_checkpoint(tmp_path / "poisoned.ckpt")
    assert not (tmp_path / "poisoned.ckpt").exists()
