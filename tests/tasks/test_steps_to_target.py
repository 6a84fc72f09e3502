"""Steps to target, with validation every N batches: through phases, early stopping and interruptions."""

import json
import math
import os
import signal
from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.loggers import TensorBoardLogger
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import FullFineTuning, HeadOnly
from transfusion_cli.tasks.early_stopping import PhaseEarlyStopping
from transfusion_cli.tasks.steps_to_target import StepsToTarget
from transfusion_cli.training.interruption import Interruption
from transfusion_cli.training.run_checkpoint import RunCheckpoint

EVERY_2 = {"val_check_interval": 2, "check_val_every_n_epoch": None}


class Scripted(pl.Callback):
    """Puts ``val/score`` beside the measured metrics: a function of the step."""

    def __init__(self, score=lambda step: step):
        self.score = score
        self.validated = []

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val/score", torch.tensor(float(self.score(trainer.global_step))))
        if not trainer.sanity_checking:
            self.validated.append(trainer.global_step)


def run(folder, *callbacks, transfer=None, epochs=3, ckpt_path=None, save=False, logger=False, task=None, **options):
    """Three batches an epoch, validated every two; checkpoints of every step and validation if ``save``."""
    task = task or make_task(folder, transfer or HeadOnly())
    chosen = list(callbacks)
    if save:
        chosen += every_checkpoint(folder / "steps")
    trainer = make_trainer(
        folder, epochs, callbacks=chosen, logger=logger, **{**EVERY_2, "enable_checkpointing": save, **options}
    )
    data = TinyDataModule(train=28, other=10, batch_size=8)
    trainer.fit(task, datamodule=data, ckpt_path=ckpt_path)
    return task, trainer


def target(value=4.0, **options):
    return StepsToTarget(value, "val/score", **options)


def test_validates_every_n_batches_through_epochs_and_phases(tmp_path):
    scripted, steps = Scripted(), target(value=5)
    task, trainer = run(tmp_path, scripted, steps, transfer=FullFineTuning(head_epochs=1), epochs=3)
    assert (trainer.global_step, trainer.current_epoch, task.phase_index) == (9, 3, 1)
    assert scripted.validated == [2, 4, 6, 8]
    got = steps.outcome()
    assert (got["reached"], got["step"], got["budget"], got["score"]) == (True, 6, 8, 6.0)
    assert got["epochs"] == 2.0 and got["seconds"] > 0


@pytest.mark.parametrize(("mode", "value", "first"), [("max", 4.0, 4), ("min", 8.0, 2), ("min", 1.0, None)])
def test_reached_means_at_least_as_good(mode, value, first, tmp_path):
    steps = target(value, mode=mode)
    run(tmp_path, Scripted(), steps)
    got = steps.outcome()
    assert (got["step"], got["budget"], got["reached"]) == (first, 8, first is not None)
    assert ("was reached in" in steps.describe()) == (first is not None)
    if first is None:  # censored: what is told is of the last validation
        assert "not reached in 8 steps" in steps.describe() and got["epochs"] == pytest.approx(8 / 3)


def test_the_first_time_counts_and_what_is_undefined_does_not(tmp_path):
    steps = target(1.0)
    run(tmp_path, Scripted(lambda step: {2: math.nan, 4: 1.0}.get(step, 0.0)), steps)
    assert steps.outcome()["step"] == 4 and steps.last["score"] == 0.0


def test_losses_fall(tmp_path):
    assert StepsToTarget(0.3, "val/loss").mode == "min" and StepsToTarget(0.3).mode == "max"


def test_a_phase_too_short_for_a_validation_leaves_a_checkpoint_to_go_on_from(tmp_path):
    def once(**options):
        last = ModelCheckpoint(tmp_path, save_last=True, save_top_k=0, enable_version_counter=False)
        scripted = Scripted()
        task, trainer = run(
            tmp_path, scripted, last, transfer=FullFineTuning(head_epochs=1), enable_checkpointing=True,
            val_check_interval=5, **options
        )  # fmt: skip
        return task, trainer, scripted

    class Crash(pl.Callback):
        def on_train_start(self, trainer, pl_module):
            if trainer.global_step == 3:
                raise RuntimeError("crash")

    whole, _, scripted = once()
    assert scripted.validated == [5]
    (tmp_path / "last.ckpt").unlink()
    with pytest.raises(RuntimeError, match="crash"):
        run(
            tmp_path,
            ModelCheckpoint(tmp_path, save_last=True, save_top_k=0, enable_version_counter=False),
            Crash(),
            transfer=FullFineTuning(head_epochs=1),
            enable_checkpointing=True,
            val_check_interval=5,
        )
    task, trainer, scripted = once(ckpt_path=str(tmp_path / "last.ckpt"))
    assert (trainer.global_step, trainer.current_epoch) == (9, 3) and scripted.validated == [5]
    for name, tensor in task.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name


def test_stop_ends_all_phases_in_mid_epoch(tmp_path):
    steps = target(2.0, stop=True)
    task, trainer = run(tmp_path, Scripted(), steps, transfer=FullFineTuning(head_epochs=2), epochs=4)
    assert (trainer.global_step, task.phase_index) == (2, 0)


def test_resuming_where_it_stopped_trains_no_more(tmp_path):
    run(tmp_path, Scripted(), target(2.0, stop=True), transfer=FullFineTuning(head_epochs=2), save=True)
    path = str(tmp_path / "steps" / "step=02.ckpt")
    scripted, steps = Scripted(), target(2.0, stop=True)
    _, trainer = run(tmp_path, scripted, steps, transfer=FullFineTuning(head_epochs=2), ckpt_path=path)
    assert trainer.global_step == 2 and scripted.validated == [] and steps.outcome()["step"] == 2


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param(None, marks=pytest.mark.slow),
        partial(ReduceLROnPlateau, monitor="val/loss", patience=0, threshold=10.0),
    ],
)
def test_resuming_anywhere_equals_the_uninterrupted_run(schedule, tmp_path):
    def once(folder, **options):
        steps, scripted = target(5.0), Scripted()
        task = make_task(tmp_path, FullFineTuning(head_epochs=1), dropout=0.3, lr_scheduler=schedule)
        _, trainer = run(folder, steps, scripted, task=task, epochs=3, **options)
        return task, trainer, steps, scripted

    whole, _, steps, _ = once(tmp_path, save=True)
    checkpoints = sorted((tmp_path / "steps").iterdir())
    assert [path.name for path in checkpoints] == [f"step={n:02}.ckpt" for n in range(1, 10)]
    for path in checkpoints:
        at = int(path.stem.removeprefix("step="))
        before = torch.load(path, weights_only=True)["callbacks"][steps.state_key]
        resumed, again, counted, scripted = once(tmp_path, ckpt_path=str(path))
        assert (again.current_epoch, again.global_step) == (3, 9), path
        assert scripted.validated == [n for n in (2, 4, 6, 8) if n > at], path
        for name, tensor in resumed.state_dict().items():
            assert torch.equal(tensor, whole.state_dict()[name]), f"{path}: {name}"
        clock = {"seconds"}
        for one, other in ((counted.first, steps.first), (counted.last, steps.last)):
            assert {k: one[k] for k in one.keys() - clock} == {k: other[k] for k in other.keys() - clock}, path
        assert before["seconds"] > 0 and (counted.seconds > before["seconds"]) == (at < 9), path  # time adds up
        assert resumed.validation_metrics == whole.validation_metrics, path


@pytest.mark.parametrize("better", [1, -1])
def test_the_last_checkpoint_is_the_last_whether_or_not_it_is_the_best(better, tmp_path):
    run(tmp_path, keep(tmp_path), Scripted(lambda step: better * step), enable_checkpointing=True)
    steps = [torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["global_step"] for name in ("best", "last")]
    assert steps == [8 if better > 0 else 2, 9]


def keep(folder):
    return RunCheckpoint(dirpath=folder, filename="best", monitor="val/score", mode="max", enable_version_counter=False)


class CtrlC(pl.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("asked", "validated"), [(1, None), (2, 2), (3, 2), (4, 4)])
def test_ctrl_c_leaves_the_newest_step(asked, validated, tmp_path):
    # Steps 2 and 4 are validated first; step 3 ends an epoch.
    steps, last = target(), keep(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, CtrlC(asked), Interruption(last), Scripted(), steps, last, enable_checkpointing=True)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == asked
    of = checkpoint["callbacks"][steps.state_key]["last"]
    assert (of and of["step"]) == validated  # not from before the validation


def test_early_stopping_in_mid_epoch_starts_the_next_phase_at_its_first_batch(tmp_path):
    class Seen(pl.Callback):
        def __init__(self):
            self.batches = []

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.batches.append((trainer.current_epoch, batch_idx, tuple(batch["index"].tolist())))

    stop, seen = PhaseEarlyStopping(monitor="val/score", mode="max", patience=1), Seen()
    transfer = FullFineTuning(head_epochs=3, head_early_stop=True)
    task, trainer = run(tmp_path, Scripted(lambda step: -step), stop, seen, transfer=transfer, epochs=10)
    # Phase 1: validated at 2 and 4, the second no better. Phase 2 likewise: 6 and 8.
    assert task.phase_start_step == 4 and trainer.global_step == 8
    assert [(epoch, batch) for epoch, batch, _ in seen.batches] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (3, 0)
    ]  # fmt: skip
    straight = []
    for epoch in range(4):
        sampler = TinyDataModule(train=28, other=10, batch_size=8).train_dataloader().sampler
        sampler.set_epoch(epoch)
        straight.append([position for position, _ in sampler])
    for epoch, batch, rows in seen.batches:
        assert list(rows) == straight[epoch][8 * batch : 8 * batch + 8]


def test_a_whole_sanity_check_is_step_0_and_a_partial_one_is_nothing(tmp_path):
    for sanity, step in ((-1, 0), (1, 2)):
        steps, scripted = target(0.0), Scripted()
        run(tmp_path, scripted, steps, num_sanity_val_steps=sanity)
        assert steps.outcome()["step"] == step and steps.outcome()["budget"] == 8
        assert scripted.validated == [2, 4, 6, 8]


def test_stop_at_step_0_trains_nothing(tmp_path):
    steps = target(0.0, stop=True)
    _, trainer = run(tmp_path, Scripted(), steps, num_sanity_val_steps=-1, transfer=FullFineTuning(head_epochs=1))
    assert trainer.global_step == 0 and steps.outcome()["budget"] == 0


def test_seconds_leave_validations_out(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("transfusion_cli.tasks.steps_to_target.time.monotonic", lambda: now[0])

    class Pace(pl.Callback):
        def on_train_batch_end(self, *args):
            now[0] += 1

        def on_validation_batch_end(self, *args):
            now[0] += 100

    steps = target(5.0)
    run(tmp_path, Scripted(), steps, Pace(), transfer=FullFineTuning(head_epochs=1))
    assert steps.outcome()["seconds"] == 6 and steps.seconds == 9


def test_written_after_every_validation_and_logged(tmp_path):
    class Watch(pl.Callback):
        def __init__(self):
            self.seen = []

        def on_validation_end(self, trainer, pl_module):
            got = json.loads((tmp_path / "run" / "steps_to_target.json").read_text())
            self.seen.append((got["reached"], got["step"], got["budget"]))

    steps, watch = target(4.0), Watch()
    steps.path = tmp_path / "run" / "steps_to_target.json"
    logger = TensorBoardLogger(tmp_path, "tensorboard", "0")
    run(tmp_path, Scripted(), steps, watch, logger=logger)
    assert watch.seen == [(False, None, 2), (True, 4, 4), (True, 4, 6), (True, 4, 8)]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(logger.log_dir).Reload()
    (point,) = events.Scalars("steps_to_target/val/score")
    assert (point.step, point.value) == (4, 4.0)
    assert "steps_to_target/val/score/text_summary" in events.Tags()["tensors"]


def test_an_unknown_metric_is_named_with_those_there_are(tmp_path):
    with pytest.raises(UserError, match=r"watches 'val/auc', which is not measured.\nChoose one of .*val/auroc"):
        run(tmp_path, StepsToTarget(0.9, "val/auc"))
