"""A resumed run equals the uninterrupted one, bit for bit, wherever it was cut."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ReduceLROnPlateau
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import ACNorm, BatchNormAffine, FullFineTuning, HeadOnly
from transfusion_cli.tasks.early_stopping import PhaseEarlyStopping
from transfusion_cli.tasks.schedules import WarmupCosine

AUGMENTED = [{"HorizontalFlip": {"p": 0.5}}, {"GaussNoise": {"p": 1.0}}]


class Crash(pl.Callback):
    """The machine goes down as epoch 2 starts."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise RuntimeError("crash")


def run(folder, transfer, schedule=None, epochs=4, ckpt_path=None, save=True, stop=None, crash=False, **task_options):
    """Train and return task and trainer; keep every checkpoint that might be one to go on from."""
    task = make_task(folder, transfer, dropout=0.3, lr_scheduler=schedule, **task_options)
    best = ModelCheckpoint(folder / "best", monitor="val/loss", enable_version_counter=False)
    stoppers = [PhaseEarlyStopping(**stop)] if stop else []
    options = {"enable_checkpointing": True} if save else {}
    chosen = [*([Crash()] if crash else []), *stoppers, *([best, *every_checkpoint(folder / "steps")] if save else [])]
    trainer = make_trainer(folder, epochs, callbacks=chosen, **options)
    data = TinyDataModule(train=28, other=10, batch_size=8, augmentation=AUGMENTED)
    trainer.fit(task, datamodule=data, ckpt_path=ckpt_path)
    return task, trainer


SCHEDULES = {
    "constant": None,
    "cosine": partial(WarmupCosine, warmup=0.3),
    "step": partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5),
    "plateau": partial(ReduceLROnPlateau, monitor="val/loss", patience=0, threshold=10.0),
}


@pytest.mark.parametrize(
    ("transfer", "schedule"),
    [
        (lambda: BatchNormAffine(head_epochs=1, statistics="update"), "cosine"),
        (lambda: FullFineTuning(head_epochs=2), "plateau"),
        (lambda: [ACNorm(), BatchNormAffine(statistics="reestimate", head_epochs=1)], "step"),
    ],
    ids=["affine-cosine", "full-plateau", "acnorm-step"],
)
def test_resuming_anywhere_equals_the_uninterrupted_run(transfer, schedule, tmp_path):
    whole, trainer = run(tmp_path, transfer(), SCHEDULES[schedule], epochs=3)
    expected = whole.state_dict()
    assert trainer.current_epoch == 3 and trainer.global_step == 9
    checkpoints = sorted((tmp_path / "steps").iterdir())
    assert len(checkpoints) == 9
    for path in checkpoints:
        resumed, again = run(tmp_path, transfer(), SCHEDULES[schedule], epochs=3, ckpt_path=str(path), save=False)
        assert (again.current_epoch, again.global_step) == (3, 9), path.name
        for name, tensor in resumed.state_dict().items():
            assert torch.equal(tensor, expected[name]), f"{path.parent.name}/{path.name}: {name}"
        assert resumed.validation_metrics == whole.validation_metrics, path.name


def test_early_stopping_ends_the_head_phase_with_its_best_weights(tmp_path):
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}  # nothing counts as an improvement but the first
    transfer = FullFineTuning(head_epochs=5, head_early_stop=True, statistics="frozen", lr=0.0)
    task, trainer = run(tmp_path, transfer, epochs=20, stop=stop)
    # Two epochs in each phase: the first sets the mark, the second misses it.
    assert trainer.current_epoch == 4 and task.phase_index == 1 and task.phase_start_epoch == 2
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
    # The main phase had learning rate 0, so its weights are those that it started from.
    assert torch.equal(task.state_dict()["network.fc.weight"], best["state_dict"]["network.fc.weight"])


def test_resuming_where_early_stopping_fired_moves_on(tmp_path):
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}
    transfer = lambda: FullFineTuning(head_epochs=5, head_early_stop=True)  # noqa: E731
    (tmp_path / "whole").mkdir()
    whole, trainer = run(tmp_path / "whole", transfer(), epochs=20, stop=stop)
    with pytest.raises(RuntimeError, match="crash"):
        run(tmp_path, transfer(), epochs=20, stop=stop, crash=True)
    path = tmp_path / "steps" / "step=06.ckpt"
    resumed, again = run(tmp_path, transfer(), epochs=20, stop=stop, ckpt_path=str(path))
    assert again.current_epoch == trainer.current_epoch == 4
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name


def test_a_phase_of_fixed_length_is_not_stopped(tmp_path):
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}
    task, trainer = run(tmp_path, HeadOnly(), epochs=20, stop=stop, save=False)
    assert trainer.current_epoch == 2
    task, trainer = run(tmp_path, FullFineTuning(head_epochs=4), epochs=20, stop=stop, save=False)
    assert task.phase_start_epoch == 4 and trainer.current_epoch == 6


def test_a_changed_plan_is_refused(tmp_path):
    run(tmp_path, HeadOnly(), epochs=1)
    path = str(tmp_path / "steps" / "step=03.ckpt")
    with pytest.raises(UserError, match="was trained in the phases"):
        run(tmp_path, FullFineTuning(head_epochs=1), epochs=2, ckpt_path=path)


def test_head_epochs_must_leave_room(tmp_path):
    with pytest.raises(UserError, match="max_epochs"):
        run(tmp_path, BatchNormAffine(head_epochs=2), epochs=2, save=False)


def test_a_changed_learning_rate_wins_over_the_restored_one(tmp_path):
    def adam(lr):
        return partial(torch.optim.Adam, lr=lr)

    run(tmp_path, HeadOnly(), SCHEDULES["step"], epochs=2, optimizer=adam(0.1))
    path = str(tmp_path / "steps" / "step=03.ckpt")
    _, trainer = run(tmp_path, HeadOnly(), SCHEDULES["step"], 3, path, save=False, optimizer=adam(0.4))
    # Three steps of the schedule, each halving: the place in it is kept, the scale is new.
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.4 * 0.5**3)


def test_a_longer_run_stretches_the_cosine(tmp_path):
    run(tmp_path, HeadOnly(), SCHEDULES["cosine"], epochs=2)
    path = str(tmp_path / "steps" / "step=06.ckpt")
    _, trainer = run(tmp_path, HeadOnly(), SCHEDULES["cosine"], 4, path, save=False)
    schedule = trainer.lr_scheduler_configs[0].scheduler
    assert schedule.total_steps == 12 and schedule.last_epoch == 12
    assert trainer.global_step == 12
