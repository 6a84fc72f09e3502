"""The loss of a step is one mean over its samples, however they are spread."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import BatchNormAffine, FullFineTuning, TransferStrategy


class Pull(TransferStrategy):
    """Pulls the head towards 1."""

    def regularize(self, network, batch, logits):
        return (network.fc.weight - 1).pow(2).sum()


def fit(folder, batch_size, accumulate=1, train=24, epochs=1, kind="multilabel", transfer=None, **options):
    """Train by plain gradient descent; a label in seven is unknown."""
    task = make_task(folder, transfer or BatchNormAffine(), kind, optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer = make_trainer(folder, epochs, accumulate_grad_batches=accumulate, **options)
    trainer.fit(task, datamodule=TinyDataModule(kind, train=train, other=8, batch_size=batch_size, augmentation=None))
    return task, trainer


@pytest.mark.parametrize("transfer", [BatchNormAffine, lambda: [Pull(), BatchNormAffine()]], ids=["plain", "penalty"])
@pytest.mark.parametrize("train", [24, 40], ids=["whole steps", "a shorter step at the end"])
def test_accumulated_batches_give_the_step_of_one(train, transfer, tmp_path):
    # 40 samples are a step of 24 and one of 16, which is what is left of the epoch.
    small, trainer = fit(tmp_path, 8, accumulate=3, train=train, transfer=transfer())
    assert trainer.global_step == (1 if train == 24 else 2)
    large = make_task(tmp_path, transfer(), "multilabel")
    large.build()
    data = TinyDataModule("multilabel", train=train, other=8, batch_size=8, augmentation=None)
    optimizer = torch.optim.SGD((p for p in large.parameters() if p.requires_grad), lr=0.1)
    batches = list(data.train_dataloader())
    for start in range(0, len(batches), 3):
        step = batches[start : start + 3]
        image = large.normalise(torch.cat([batch["image"] for batch in step]))
        target = torch.cat([batch["target"] for batch in step])
        known = ~target.isnan()
        logits = large(image)
        loss = nn.functional.binary_cross_entropy_with_logits(logits[known], target[known])
        optimizer.zero_grad()
        (loss + (large.transfer.regularize(large.network, {}, logits) or 0)).backward()
        optimizer.step()
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(tensor, large.state_dict()[name], rtol=1e-4, atol=1e-6, msg=name)


def test_the_loss_of_an_epoch_is_the_mean_over_its_known_labels(tmp_path):
    task, trainer = fit(tmp_path, 8, train=24, transfer=BatchNormAffine(lr=0.0))
    data = TinyDataModule("multilabel", train=24, other=8, batch_size=24, augmentation=None)
    batch = next(iter(data.train_dataloader()))
    known = ~batch["target"].isnan()
    task.eval()
    logits = task(task.normalise(batch["image"]))
    expected = nn.functional.binary_cross_entropy_with_logits(logits[known], batch["target"][known])
    assert known.sum() < 72
    assert trainer.callback_metrics["train/loss_epoch"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"val_check_interval": 0.4},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"check_val_every_n_epoch": 2}, marks=pytest.mark.slow),
    ],
)
def test_with_accumulation_resuming_anywhere_equals_the_uninterrupted_run(options, tmp_path):
    def run(callbacks, ckpt_path=None):
        task = make_task(tmp_path, FullFineTuning(head_epochs=1), dropout=0.3)
        trainer = make_trainer(
            tmp_path, 3, callbacks=callbacks, enable_checkpointing=True, accumulate_grad_batches=3, **options
        )
        data = TinyDataModule(train=64, other=8, batch_size=8)
        trainer.fit(task, datamodule=data, ckpt_path=ckpt_path)
        return task, trainer.callback_metrics["train/loss_epoch"]

    whole, loss = run(every_checkpoint(tmp_path / "steps"))
    checkpoints = sorted((tmp_path / "steps").iterdir())
    assert len(checkpoints) == 9  # eight batches an epoch: steps of 3, 3 and 2
    for path in checkpoints[:-1]:
        again, other = run([], str(path))
        for name, tensor in again.state_dict().items():
            assert torch.equal(tensor, whole.state_dict()[name]), f"{path.name}: {name}"
        assert other == loss, path.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_check_interval": 4}, r"no multiple of --trainer.accumulate_grad_batches 3:\n.*\nTry .* 6\."),
        ({"val_check_interval": "00:00:10:00"}, "by the clock"),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, "An epoch has 8 batches, no multiple"),
    ],
)
def test_validations_inside_a_step_are_refused(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        fit(tmp_path, 8, accumulate=3, train=64, **options)


class Explode(pl.Callback):
    """One gradient is infinite in the last batch, at a finite loss."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.is_last_batch:
            pl_module.network.fc.weight.grad[0, 0] = torch.inf


def test_weights_that_are_no_numbers_are_neither_validated_nor_saved(tmp_path):
    validated = []

    class Watch(pl.Callback):
        def on_validation_epoch_end(self, trainer, pl_module):
            validated.append(trainer.global_step)

    callbacks = [Explode(), Watch(), *every_checkpoint(tmp_path / "steps")]
    with pytest.raises(UserError, match=r"fc.weight became NaN or infinite \(epoch 0\)"):
        fit(tmp_path, 8, callbacks=callbacks, enable_checkpointing=True)
    assert validated == []
    saved = sorted(path.name for path in (tmp_path / "steps").iterdir())
    assert saved == ["step=01.ckpt", "step=02.ckpt"]
    for path in (tmp_path / "steps").iterdir():
        state = torch.load(path, weights_only=True)["state_dict"]
        assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_the_advice_names_a_rate_that_can_be_typed(tmp_path):
    task = make_task(tmp_path, BatchNormAffine(), "multilabel", optimizer=partial(torch.optim.SGD, lr=0.0))
    with pytest.raises(UserError) as stop:
        make_trainer(tmp_path, 1, callbacks=[Explode()]).fit(
            task, datamodule=TinyDataModule("multilabel", train=24, other=8)
        )
    assert "Try a lower rate,\n" in str(stop.value)
