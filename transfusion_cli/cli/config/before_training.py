"""What Lightning would find out late, or not at all, seen to before a run trains."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.steps_to_target import StepsToTarget
from transfusion_cli.training.run_checkpoint import RunCheckpoint

OURS = ("transfusion_cli.", "lightning.")
"""Packages whose classes log nothing that is not known here."""

ZERO_IS_NONE = ("max_epochs", "max_steps", "limit_train_batches")
"""Options of the trainer that let nothing train where they are 0."""

LEAST = {"gradient_clip_val": 0, "accumulate_grad_batches": 1, "check_val_every_n_epoch": 1}
"""Options of the trainer that it does not look at itself, with the least that makes sense."""


def check_trainer(options: Mapping[str, Any], sources: Sources) -> None:
    """See that options of the trainer make sense.

    Raises:
        UserError: naming one that does not.
    """
    for key in ZERO_IS_NONE:
        if options.get(key) == 0:
            raise UserError(f"--trainer.{key} 0{sources.locate(key)} trains nothing.\nTry --trainer.{key} 1")
    for key, least in LEAST.items():
        value = options.get(key)
        if value is not None and not least <= value < math.inf:
            where = sources.locate(key, str(value))
            raise UserError(f"--trainer.{key} must be at least {least}, got {value}{where}.\nTry --trainer.{key} 1")
    _check_processes(options, sources)


def _check_processes(options: Mapping[str, Any], sources: Sources) -> None:
    """Each device of a CPU is a process with a network of its own: a slip of the finger would fill the memory."""
    devices, cores = options.get("devices"), os.cpu_count() or 1
    on_cpu = options.get("accelerator") == "cpu" or not torch.accelerator.is_available()
    if on_cpu and str(devices).isdigit() and int(str(devices)) > max(2, cores):
        raise UserError(
            f"--trainer.devices {devices}{sources.locate('devices')} would start as many processes on {cores} cores.\n"
            "Try --trainer.devices 1"
        )


def check_kinds(data: type | object, task: type | object) -> None:
    """See that a task learns what the data tell.

    Args:
        data: class of the data module.
        task: class of the task; one that does not say what it ``learns`` is let through.

    Raises:
        UserError: one is of masks and the other of labels.
    """
    learns = getattr(task, "learns", None)
    if not isinstance(data, type) or not isinstance(task, type) or learns is None:
        return
    tells = "masks" if issubclass(data, MaskDataModule) else "labels"
    if tells != learns:
        other = {"masks": "SegmentationTask", "labels": "ClassificationTask"}[tells]
        raise UserError(f"{data.__name__} has {tells}, and {task.__name__} learns {learns}.\nTry --model {other}")


def check_monitors(task: TransferTask, callbacks: Iterable[Callback], sources: Sources) -> None:
    """See that all metrics that are watched will be measured: training would end after its first epoch.

    Where a class of the user's own takes part nothing is refused: it may log what it likes.

    Args:
        task: knows what it measures.
        callbacks: of the trainer.
        sources: the command's arguments and config files.

    Raises:
        UserError: naming the nearest metric that there is.
    """
    callbacks = list(callbacks)
    known = task.metric_names
    if known is None or not all(type(part).__module__.startswith(OURS) for part in (task, *callbacks)):
        return
    for key, name in watched(task, callbacks):
        if name not in known and not name.startswith("lr-"):
            brief = [metric for metric in known if metric.startswith("val/") and metric.count("/") == 1]
            advice = did_you_mean(name, known, otherwise=f"Choose from: {', '.join(sorted(brief))}")
            raise UserError(f"{key} watches {name!r}{sources.locate(name)}, which is not measured.\n{advice}")


def watched(task: TransferTask, callbacks: Iterable[Callback]) -> Iterator[tuple[str, str]]:
    """Key of the config, or class, and the metric that it watches."""
    for callback in callbacks:
        match callback:
            case RunCheckpoint(monitor=str(name)):
                yield "--checkpoint.monitor", name
            case StepsToTarget(metric=name):
                yield "--steps_to_target.metric", name
            case EarlyStopping(monitor=str(name)) | ModelCheckpoint(monitor=str(name)):
                yield f"The monitor of {type(callback).__name__}", name
    if task.optimisation.monitor is not None:
        yield "The monitor of model.lr_scheduler", task.optimisation.monitor
