"""Runs with a term in the loss, for tests of the strategies that add one."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.delta import load_delta, save_delta
from transfusion_cli.training.trainer import Trainer

SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9)


def built(folder: Path, strategies: Any, **kwargs: Any) -> ClassificationTask:
    """A task in double precision whose strategies have seen a fit start; its trainer only says where the data are."""
    task = make_task(folder, strategies, **kwargs)
    task.build()
    task.double()
    data = TinyDataModule(kwargs.get("kind", "binary"), train=24, other=12)
    trainer = SimpleNamespace(datamodule=data, world_size=1, global_rank=0, is_global_zero=True)
    for hook in ("on_fit_start", "on_train_start"):
        for strategy in task.transfer.strategies:
            getattr(strategy, hook)(trainer, task)
    return task


def a_batch(task: ClassificationTask, size: int = 6, seed: int = 1) -> dict[str, torch.Tensor]:
    """Images and labels at random, one label unknown, as a step has them."""
    draws = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 16, 16, generator=draws, dtype=torch.float64)
    target = torch.randint(0, len(task.class_names), (size,), generator=draws)
    if task.target == "binary":
        target = target.double()[:, None]
    target[-1] = float("nan") if task.target == "binary" else -1
    return {"image": images, "target": target, "index": torch.arange(size)}


def term(task: ClassificationTask, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the strategies add to the loss of a batch."""
    return task.transfer.regularize(task.network, batch, task(batch["image"]))


def run(folder: Path, strategies: Any, path: str | None = None, save: bool = True, **options: Any):
    """Two epochs of three steps; the task and every checkpoint that might be one to go on from."""
    task = make_task(folder, strategies, optimizer=SGD, dropout=0.2)
    callbacks = every_checkpoint(folder / "steps") if save else []
    kwargs = {"callbacks": callbacks, **({"enable_checkpointing": True} if save else {}), **options}
    trainer: Trainer = make_trainer(folder, 2, **kwargs)
    trainer.fit(task, datamodule=TinyDataModule(train=28, other=10), ckpt_path=path)
    return task


def check_whole_life(folder: Path, make: Any) -> ClassificationTask:
    """A run resumes exactly, has an exact delta, trains in half precision and accumulates; the trained task."""
    whole = run(folder, make())
    checkpoints = sorted((folder / "steps").iterdir())
    assert len(checkpoints) == 6
    for path in checkpoints[1], checkpoints[3]:  # within an epoch, and within another
        resumed = run(folder, make(), str(path), save=False)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], tensor), f"{path.name}: {name}"
    save_delta(whole, folder / "delta.safetensors")
    rebuilt = make_task(folder, make(), dropout=0.2, seed=7)
    load_delta(rebuilt, folder / "delta.safetensors")
    assert all(torch.equal(rebuilt.state_dict()[name], tensor) for name, tensor in whole.state_dict().items())
    half = run(folder, make(), save=False, precision="bf16-mixed", accumulate_grad_batches=3)
    assert all(tensor.isfinite().all() for tensor in half.state_dict().values())
    plain = deepcopy(rebuilt.eval())
    images = torch.randn(2, 3, 16, 16)
    expected = plain(images)
    plain.transfer.finalize(plain.network)
    untouched = make_task(folder)
    untouched.build()
    assert plain.network.state_dict().keys() == untouched.network.state_dict().keys()
    torch.testing.assert_close(plain(images), expected, rtol=1e-5, atol=1e-5)
    return whole


def refused(folder: Path, strategies: Any, message: str, **options: Any) -> None:
    """A run on these strategies ends with a message of two lines, as it begins."""
    from transfusion_cli.errors import UserError

    task = make_task(folder, strategies, **options)
    with pytest.raises(UserError, match=message) as error:
        data = TinyDataModule(options.get("kind", "binary"), train=24, other=12)
        make_trainer(folder).fit(task, datamodule=data)
    assert len(str(error.value).splitlines()) == 2
