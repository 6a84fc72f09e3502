"""Short training runs for tests."""

from pathlib import Path
from typing import Any

import torch
from support.drawn_cases import DrawnCases
from support.networks import source_file
from support.tiny import TinyDataModule
from torch import Tensor

from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.segmentation import SegmentationTask
from transfusion_cli.training.interruption import Interruption
from transfusion_cli.training.run_checkpoint import RunCheckpoint
from transfusion_cli.training.trainer import Trainer


def make_task(folder: Path, transfer: Any = None, kind: str = "binary", **kwargs: Any) -> ClassificationTask:
    """A cifar_resnet20 task on pretrained-looking weights, for a TinyDataModule of ``kind``."""
    kwargs = {"backbone": "cifar_resnet20", "pretrained": source_file(folder), **kwargs}
    names = TinyDataModule(kind).class_names
    return ClassificationTask(transfer=transfer, target=kind, class_names=names, **kwargs)


def make_segmentation(folder: Path, transfer: Any = None, dims: int = 2, **kwargs: Any) -> SegmentationTask:
    """A U-Net on the same weights, for ``DrawnCases``."""
    kwargs = {"backbone": "cifar_resnet20", "pretrained": source_file(folder), "decoder_channels": [16, 8], **kwargs}
    names = DrawnCases(dims).class_names
    return SegmentationTask(transfer=transfer, target="mask", class_names=names, dims=dims, **kwargs)


class EveryCheckpoint(RunCheckpoint):
    """Keeps every ``last.ckpt`` that a run might go on from, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(minutes=0, dirpath=folder, save_top_k=0)
        self.step: int | None = None

    @property
    def last(self) -> Path:
        return Path(self.dirpath) / f"step={self.step:02}.ckpt"

    def write_last(self, trainer: Any) -> None:
        self.step = trainer.global_step
        super().write_last(trainer)


def every_checkpoint(folder: Path) -> list[Any]:
    """The callbacks that keep them."""
    checkpoint = EveryCheckpoint(folder)
    return [Interruption(checkpoint), checkpoint]


def make_trainer(folder: Path, epochs: int = 1, **kwargs: Any) -> Trainer:
    """A quiet trainer on one CPU process."""
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    defaults = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False}
    return Trainer(max_epochs=epochs, default_root_dir=folder, **{**quiet, **defaults, **kwargs})


def train(folder: Path, transfer: Any = None, epochs: int = 1, kind: str = "binary", data: Any = None, **kwargs: Any):
    """Train and return the task, with its state before (as initialised) and after."""
    task = make_task(folder, transfer, kind, **kwargs)
    task.build()
    before = snapshot(task)
    make_trainer(folder, epochs).fit(task, datamodule=data or TinyDataModule(kind, train=24, other=8))
    return task, before, snapshot(task)


def snapshot(task: ClassificationTask) -> dict[str, Tensor]:
    """A copy of the network's state."""
    return {name: tensor.clone() for name, tensor in task.network.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are not bit-identical."""
    return {name for name in before if not torch.equal(before[name], after[name])}
