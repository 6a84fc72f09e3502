"""A run that is cut while it writes its checkpoints forgets nothing."""

import os
import shutil

import lightning.pytorch as pl
import pytest
import torch
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli import files
from transfusion_cli.strategies import HeadOnly
from transfusion_cli.training.run_checkpoint import RunCheckpoint

SCORES = [0.5, 0.9, 0.7, 0.6]
"""Of the four epochs."""


class Scripted(pl.Callback):
    def on_validation_epoch_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            pl_module.log("val/score", torch.tensor(SCORES[trainer.current_epoch]))


class Killed(Exception):
    """The process is gone."""


def run(folder, ckpt_path=None, epochs=4):
    keep = RunCheckpoint(dirpath=folder, filename="best", monitor="val/score", mode="max", enable_version_counter=False)
    trainer = make_trainer(folder, epochs, callbacks=[Scripted(), keep], enable_checkpointing=True)
    trainer.fit(make_task(folder, HeadOnly()), datamodule=TinyDataModule(train=16, other=8), ckpt_path=ckpt_path)
    return keep


def epochs_of(folder):
    found = (torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    return [checkpoint["epoch"] for checkpoint in found]


def test_best_and_last_are_one_file_where_both_are_due(tmp_path):
    run(tmp_path, epochs=2)
    assert epochs_of(tmp_path) == [1, 1]
    assert (tmp_path / "best.ckpt").stat().st_ino == (tmp_path / "last.ckpt").stat().st_ino
    run(tmp_path, tmp_path / "last.ckpt")
    assert epochs_of(tmp_path) == [1, 3]


@pytest.mark.parametrize("cut", range(1, 13))
def test_cut_at_any_rename_the_best_epoch_is_kept(cut, tmp_path, monkeypatch):
    """Four epochs rename seven times or eight; where the count is past that, nothing is cut."""
    done = 0

    def rename(source, target):
        nonlocal done
        done += 1
        if done == cut:
            raise Killed
        os.rename(source, target)

    monkeypatch.setattr(files.os, "replace", rename)
    try:
        run(tmp_path)
    except Killed:
        monkeypatch.undo()
        last = tmp_path / "last.ckpt"
        keep = run(tmp_path, last if last.exists() else None)
        assert keep.best_model_score.item() == pytest.approx(0.9)
    else:
        assert cut > 6
    assert epochs_of(tmp_path) == [1, 3]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".partial"]


def test_a_run_in_another_place_keeps_its_best(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    run(first, epochs=3)
    shutil.move(first, second)
    keep = run(second, second / "last.ckpt")
    assert epochs_of(second) == [1, 3] and keep.best_model_path == str(second / "best.ckpt")


def test_a_branch_has_a_best_of_its_own(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    run(first, epochs=2)
    keep = run(second, first / "best.ckpt")
    assert keep.best_model_path == str(second / "best.ckpt") and epochs_of(second) == [2, 3]
    assert epochs_of(first) == [1, 1]
