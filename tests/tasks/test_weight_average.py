"""Averaged weights are evaluated and kept, raw ones train on."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import AutoRGN, BatchNormAffine, FullFineTuning, HeadOnly
from transfusion_cli.tasks.delta import load_delta, save_delta
from transfusion_cli.tasks.early_stopping import PhaseEarlyStopping
from transfusion_cli.tasks.restore import restore


class Watch(pl.Callback):
    """Keeps what the network was after each optimizer step, and what was validated."""

    def __init__(self):
        self.steps, self.validated = [], []

    def on_train_batch_end(self, trainer, task, *_):
        self.steps.append({name: tensor.clone() for name, tensor in task.state_dict().items()})

    def on_validation_batch_start(self, trainer, task, *_):
        self.validated.append({name: tensor.clone() for name, tensor in task.state_dict().items()})


def run(folder, transfer, epochs=2, ckpt_path=None, callbacks=(), ema=0.6, **options):
    task = make_task(folder, transfer, ema=ema, optimizer=partial(torch.optim.Adam, lr=0.01))
    trainer = make_trainer(folder, epochs, callbacks=list(callbacks), **options)
    trainer.fit(task, datamodule=TinyDataModule(train=24, other=8), ckpt_path=ckpt_path)
    return task, trainer


def average(steps, decay):
    """The moving average of tensors by its definition, in float64."""
    result = steps[0].double()
    for t, tensor in enumerate(steps[1:], start=2):
        share = min(decay, (t - 1) / (t + 8))
        result = share * result + (1 - share) * tensor.double()
    return result


def test_training_is_as_without_and_the_average_is_evaluated(tmp_path):
    plain, averaged = Watch(), Watch()
    run(tmp_path, FullFineTuning(), ema=None, callbacks=[plain])
    task, _ = run(tmp_path, FullFineTuning(), ema=0.2, callbacks=[averaged])
    for one, other in zip(plain.steps, averaged.steps, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(averaged.steps) == 6 and len(averaged.validated) == 2
    moving = [name for name, tensor in plain.steps[0].items() if tensor.is_floating_point()]
    for end, seen in zip((3, 6), averaged.validated, strict=True):
        for name in moving:
            expected = average([step[name] for step in averaged.steps[:end]], 0.2)
            torch.testing.assert_close(seen[name].double(), expected, rtol=1e-5, atol=1e-6, msg=name)
    assert all(torch.equal(task.state_dict()[name], averaged.validated[-1][name]) for name in moving)
    assert not torch.equal(task.network.fc.weight, plain.steps[-1]["network.fc.weight"])


@pytest.mark.parametrize("transfer", [HeadOnly, BatchNormAffine])
def test_what_does_not_train_stays_bit_identical(transfer, tmp_path):
    task, _ = run(tmp_path, transfer())
    start = make_task(tmp_path, transfer())
    start.build()
    before, after = start.state_dict(), task.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"network.{name}" for name in task.phase.trainable}


def test_best_and_delta_hold_the_averaged_weights_that_were_validated(tmp_path):
    watch, best = Watch(), ModelCheckpoint(tmp_path / "best", monitor="val/loss", mode="min")
    task, trainer = run(tmp_path, BatchNormAffine(), callbacks=[watch, best], enable_checkpointing=True)
    kept = torch.load(trainer.best_checkpoint, weights_only=True)
    assert any(all(torch.equal(kept["state_dict"][n], seen[n]) for n in seen) for seen in watch.validated)
    save_delta(task, tmp_path / "delta.safetensors")
    rebuilt = make_task(tmp_path, BatchNormAffine(), seed=7)
    load_delta(rebuilt, tmp_path / "delta.safetensors")
    assert all(torch.equal(tensor, watch.validated[-1][name]) for name, tensor in rebuilt.state_dict().items())
    data = TinyDataModule(train=24, other=8)
    (expected,) = make_trainer(tmp_path).validate(restore(trainer.best_checkpoint), data, verbose=False)
    assert expected["val/loss"] == pytest.approx(float(trainer.keeper.best_model_score), rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [lambda: BatchNormAffine(statistics="update", head_epochs=1), lambda: [FullFineTuning(head_epochs=1), AutoRGN()]],
    ids=["affine", "full-rgn"],
)
def test_resuming_anywhere_equals_the_uninterrupted_run(make, tmp_path):
    keep = every_checkpoint(tmp_path / "steps")
    whole, _ = run(tmp_path, make(), callbacks=keep, enable_checkpointing=True)
    raw = torch.load(tmp_path / "steps" / "step=06.ckpt", weights_only=True)["raw_weights"]["weights"]
    for step in (2, 3, 5):  # within the first phase, at its end, within the second
        path = tmp_path / "steps" / f"step=0{step}.ckpt"
        again = every_checkpoint(tmp_path / "again")
        resumed, trainer = run(tmp_path, make(), ckpt_path=str(path), callbacks=again, enable_checkpointing=True)
        expected = whole.state_dict()
        assert all(torch.equal(t, expected[name]) for name, t in resumed.state_dict().items()), path.name
        trainer.save_checkpoint(tmp_path / "end.ckpt")
        ended = torch.load(tmp_path / "end.ckpt", weights_only=True)["raw_weights"]["weights"]
        assert raw.keys() == ended.keys() and all(torch.equal(ended[name], raw[name]) for name in raw), path.name


def test_a_phase_that_was_stopped_early_hands_on_its_best_average(tmp_path):
    stop = PhaseEarlyStopping(monitor="val/loss", patience=1, min_delta=100.0)
    watch, best = Watch(), ModelCheckpoint(tmp_path / "best", monitor="val/loss")
    transfer = FullFineTuning(head_epochs=5, head_early_stop=True, statistics="frozen", lr=0.0)
    run(tmp_path, transfer, 20, callbacks=[watch, best, stop], enable_checkpointing=True)
    assert any(torch.equal(seen["network.fc.weight"], watch.steps[-1]["network.fc.weight"]) for seen in watch.validated)


def test_an_average_cannot_be_dropped_on_resuming(tmp_path):
    keep = every_checkpoint(tmp_path / "steps")
    run(tmp_path, HeadOnly(), 1, callbacks=keep, enable_checkpointing=True)
    with pytest.raises(UserError, match=r"no --model\.ema to go on with"):
        run(tmp_path, HeadOnly(), 2, ema=None, ckpt_path=str(tmp_path / "steps" / "step=03.ckpt"))


def test_what_cannot_be_averaged_is_refused(tmp_path):
    for decay in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"--model\.ema 0\.999"):
            make_task(tmp_path, HeadOnly(), ema=decay)
    with pytest.raises(UserError, match="needs weights of 32 bits"):
        run(tmp_path, FullFineTuning(), precision="bf16-true")
