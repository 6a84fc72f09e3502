"""Interrupted and resumed training sees the samples that an uninterrupted run sees, in the same order."""

import contextlib

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from support.tiny import TinyDataModule


class Killed(Exception):
    pass


class Recorder(LightningModule):
    """Notes the samples and the pixels of each batch; as a schedule does, asks early for the number of steps."""

    def __init__(self, ask_steps: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.ask_steps = ask_steps
        self.seen: list[tuple[int, tuple[int, ...], int]] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, tuple(batch["index"].tolist()), int(batch["image"].sum())))
        return self.layer(batch["target"][:, :1]).sum()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.ask_steps:
            assert self.trainer.estimated_stepping_batches > 0
        return torch.optim.SGD(self.parameters(), lr=0.0)


class KillAfter(Callback):
    """Stops the run like a power cut, at the start of a batch."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if pl_module.seen[self.batches - 1 :]:
            raise Killed


def fit(folder, kill_after=None, ckpt_path=None, ask_steps=False, num_workers=0, checkpoint=None, **trainer):
    callbacks: list[Callback] = [checkpoint] if checkpoint else []
    if kill_after is not None:
        callbacks.append(KillAfter(kill_after))
    module = Recorder(ask_steps)
    data = TinyDataModule(train=44, batch_size=8, num_workers=num_workers)  # five batches of 8, a ragged one dropped
    run = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=checkpoint is not None,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **trainer,
    )
    with contextlib.suppress(Killed):
        run.fit(module, data, ckpt_path=ckpt_path)
    return module.seen


pytestmark = pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the uninterrupted run sees."""
    return fit(tmp_path_factory.mktemp("whole"))


def test_each_epoch_has_an_order_of_its_own(whole):
    assert [epoch for epoch, _, _ in whole] == [0] * 5 + [1] * 5 + [2] * 5
    assert len({indices for _, indices, _ in whole}) == 15


@pytest.mark.parametrize(
    ("kill_after", "every", "ask_steps"),
    [
        (4, 1, False),
        (4, 3, True),
        (5, 1, True),
        (5, 5, False),
        (6, 1, False),
        (8, 3, True),
        (10, 5, True),
        (13, 1, True),
    ],
)
def test_resumed_after_checkpoint_by_steps(tmp_path, whole, kill_after, every, ask_steps):
    checkpoint = ModelCheckpoint(tmp_path, every_n_train_steps=every, save_top_k=-1, filename="{step}")
    before = fit(tmp_path, kill_after, checkpoint=checkpoint)
    assert before == whole[:kill_after]
    done = kill_after // every * every
    assert fit(tmp_path, ckpt_path=tmp_path / f"step={done}.ckpt", ask_steps=ask_steps) == whole[done:]


@pytest.mark.parametrize("when", ["validation", "train_epoch_end"])
def test_resumed_after_checkpoint_by_epochs(tmp_path, whole, when):
    checkpoint = ModelCheckpoint(
        tmp_path, save_top_k=-1, filename="{epoch}", save_on_train_epoch_end=when == "train_epoch_end"
    )
    fit(tmp_path, 12, checkpoint=checkpoint)
    for epoch in (0, 1):
        assert fit(tmp_path, ckpt_path=tmp_path / f"epoch={epoch}.ckpt", ask_steps=True) == whole[5 * (epoch + 1) :]


@pytest.mark.parametrize(
    "options",
    [{"val_check_interval": 2}, {"accumulate_grad_batches": 2}, {"limit_train_batches": 4}, {"max_steps": 13}],
    ids=str,
)
def test_resumed_in_other_loops(tmp_path, options):
    uninterrupted = fit(tmp_path, **options)
    checkpoint = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    fit(tmp_path, 7, checkpoint=checkpoint, **options)
    steps = 4 if "accumulate_grad_batches" in options else 7  # the last, odd batch of an epoch is a step too
    assert fit(tmp_path, ckpt_path=tmp_path / f"step={steps}.ckpt", **options) == uninterrupted[7:]


def test_resumed_with_workers(tmp_path, whole):
    checkpoint = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    assert fit(tmp_path, 7, checkpoint=checkpoint, num_workers=2) == whole[:7]
    assert fit(tmp_path, ckpt_path=tmp_path / "step=7.ckpt", num_workers=2, ask_steps=True) == whole[7:]


def test_second_fit_goes_on_with_the_next_epochs(tmp_path, whole):
    """Phases are fits in a row: each follows the epoch counter, from its first batch."""
    module, data = Recorder(ask_steps=False), TinyDataModule(train=44, batch_size=8)
    run = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, default_root_dir=tmp_path,
    )  # fmt: skip
    run.fit(module, data)
    run.fit_loop.max_epochs = 3
    run.fit(module, data)
    assert module.seen == whole
