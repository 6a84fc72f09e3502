"""What a run watches, seen to before it trains: a misspelt metric would end it after the first epoch."""

from collections.abc import Iterable, Iterator

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from transfusion_cli.cli.sources import Sources
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.run_checkpoint import RunCheckpoint
from transfusion_cli.tasks.steps_to_target import StepsToTarget

OURS = ("transfusion_cli.", "lightning.")
"""Packages whose classes log nothing that is not known here."""


def check_monitors(task: TransferTask, callbacks: Iterable[Callback], sources: Sources) -> None:
    """See that all metrics that are watched will be measured.

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
