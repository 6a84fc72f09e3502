"""One line stays of an epoch, and of each validation within it; every number in it is fresh."""

import re

import pytest
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.reports import epoch_lines
from transfusion_cli.reports.epoch_lines import EpochLines, number
from transfusion_cli.strategies.batch_norm_affine import BatchNormAffine
from transfusion_cli.training.run_checkpoint import RunCheckpoint

METRICS = r"train/loss \d\.\d{{4}}  val/loss \d\.\d{{4}}  val/auroc \d\.\d{{4}}( \(best\))?  val/kappa \S+"
EPOCH = rf"epoch {{}} of {{}}  {METRICS}  \d+ s"


def printed(folder, capsys, epochs, transfer=None, bar=False, ckpt_path=None, **options):
    """The lines of a run of three steps an epoch, and its trainer."""
    folder.mkdir(exist_ok=True)
    keeper = RunCheckpoint(dirpath=folder / "kept", monitor="val/auroc", mode="max", filename="best")
    options = {"enable_checkpointing": True, "callbacks": [EpochLines(epochs, bar), keeper], **options}
    trainer = make_trainer(folder, epochs, **options)
    capsys.readouterr()
    trainer.fit(make_task(folder, transfer), datamodule=TinyDataModule(train=24, other=8), ckpt_path=ckpt_path)
    return capsys.readouterr().out.splitlines(), trainer


def test_a_line_an_epoch_through_all_phases_and_after_the_sanity_check(tmp_path, capsys):
    lines, trainer = printed(tmp_path, capsys, 3, BatchNormAffine(head_epochs=1), num_sanity_val_steps=2)
    assert len(lines) == 3
    for epoch, line in enumerate(lines, start=1):
        assert re.fullmatch(EPOCH.format(epoch, 3), line), line
    assert "(best)" in lines[0]
    last = trainer.lightning_module.validation_metrics
    assert f"val/loss {last['val/loss']:.4f}  val/auroc {last['val/auroc']:.4f}" in lines[-1]
    assert f"train/loss {trainer.lightning_module.shown['train/loss']:.4f}" in lines[-1]  # of the epoch
    best = max(float(re.search(r"auroc (\S+)", line)[1]) for line in lines)
    marked = [float(re.search(r"auroc (\S+)", line)[1]) for line in lines if "(best)" in line]
    assert marked == sorted(set(marked)) and marked[-1] == best


def test_validations_within_an_epoch_and_epochs_without_one(tmp_path, capsys):
    lines, _ = printed(tmp_path / "often", capsys, 1, val_check_interval=1)
    assert [line.partition("  ")[0] for line in lines] == [
        "epoch 1 of 1, batch 1 of 3",
        "epoch 1 of 1, batch 2 of 3",
        "epoch 1 of 1",
    ]
    assert all("val/loss" in line for line in lines) and "train/loss" not in lines[0]
    lines, _ = printed(tmp_path / "seldom", capsys, 3, check_val_every_n_epoch=2)
    assert ["val/loss" in line for line in lines] == [False, True, False]  # not the one from the epoch before


def test_an_open_end_and_a_resumed_run(tmp_path, capsys):
    lines, trainer = printed(tmp_path, capsys, 1)
    last = trainer.checkpoint_callback.last_model_path
    lines, _ = printed(tmp_path, capsys, 2, ckpt_path=last)
    assert [line.partition("  ")[0] for line in lines] == ["epoch 2 of 2"]
    steps = every_checkpoint(tmp_path / "kept")
    printed(tmp_path, capsys, 1, callbacks=steps)
    middle = str(tmp_path / "kept" / "step=01.ckpt")
    lines, _ = printed(
        tmp_path, capsys, 2, ckpt_path=middle, callbacks=[EpochLines(2, True), RunCheckpoint(dirpath=tmp_path)]
    )
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert EpochLines(-1, True)._name == EpochLines(None, True)._name == "epoch 0"


def test_without_a_bar_a_line_a_minute(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(epoch_lines, "OFTEN", 0)
    lines, _ = printed(tmp_path / "log", capsys, 1)
    assert [re.split(r"  ", line)[0] for line in lines] == [
        *(f"epoch 1 of 1, batch {batch} of 3" for batch in (1, 2, 3)), "validation, batch 1 of 1", "epoch 1 of 1"
    ]  # fmt: skip
    assert "train/loss" in lines[0]
    for verb in ("validate", "test", "predict"):
        task, trainer = make_task(tmp_path), make_trainer(tmp_path, callbacks=[EpochLines(1, False)])
        capsys.readouterr()
        getattr(trainer, verb)(task, datamodule=TinyDataModule(train=24, other=8))
        name = "validation" if verb == "validate" else verb
        assert f"{name}, batch 1 of 1\n" in capsys.readouterr().out
    lines, _ = printed(tmp_path / "terminal", capsys, 1, bar=True)
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5000"), (0, "0.0000"), (2e-5, "2e-05"), (12345.6, "1.23e+04"), (float("nan"), "nan")]
)
def test_numbers(value, text):
    assert number(value) == text
