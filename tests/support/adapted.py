"""Small networks of every kind that look pretrained, for strategies that train little of them."""

from pathlib import Path
from typing import Any

import timm
import torch
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule
from torch import nn

import transfusion_cli.models  # noqa: F401 (registers our backbones)
from transfusion_cli.tasks.classification import ClassificationTask

SIDE = 32
"""Side of the images, in pixels."""

ARGS = {"test_vit": {"img_size": SIDE}, "test_vit2": {"img_size": SIDE}, "test_vit4": {"img_size": SIDE}}
"""What a network is made with to take them."""


def drawn(name: str, seed: int = 0, **kwargs: Any) -> nn.Module:
    """A timm network in which no parameter, and no running statistic, has the value it begins with."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model(name, **{"num_classes": 10} | ARGS.get(name, {}) | kwargs)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            for buffer_name, buffer in network.named_buffers():
                if buffer_name.endswith(("running_mean", "running_var")):
                    buffer.add_(0.3 * torch.rand_like(buffer))
    return network


def drawn_file(folder: Path, name: str) -> str:
    """Save its weights; the path."""
    path = folder / f"{name}_drawn.pth"
    if not path.exists():
        torch.save(drawn(name).state_dict(), path)
    return str(path)


def adapted_task(folder: Path, transfer: Any = None, backbone: str = "test_vit", **kwargs: Any) -> ClassificationTask:
    """A task on such weights."""
    given = {"backbone": backbone, "pretrained": drawn_file(folder, backbone), "backbone_args": ARGS.get(backbone)}
    return make_task(folder, transfer, **given | kwargs)


def images(number: int = 2, seed: int = 1) -> torch.Tensor:
    """Normalised images."""
    return torch.randn(number, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def fit(folder: Path, task: ClassificationTask, epochs: int = 1, ckpt_path: Any = None, **kwargs: Any) -> Any:
    """Train it on drawn images; the trainer."""
    trainer = make_trainer(folder, epochs, **kwargs)
    trainer.fit(task, datamodule=TinyDataModule(train=12, other=4, side=SIDE, batch_size=4), ckpt_path=ckpt_path)
    return trainer
