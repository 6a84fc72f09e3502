"""What would make a run depend on how it is spread over processes and accumulated batches."""

import logging

import lightning.pytorch as pl

from transfusion_cli.errors import UserError
from transfusion_cli.tasks.base import TransferTask

log = logging.getLogger(__name__)


def check_spread(trainer: pl.Trainer, task: TransferTask) -> None:
    """Refuse what cannot be resumed exactly, and say what several processes change.

    Raises:
        UserError: validations would fall inside an optimizer step, or BatchNorm cannot be synchronised here.
    """
    _check_accumulation(trainer)
    phase = next((phase for phase in task.plan if phase.moving(task.transferred.parts)), None)
    if trainer.world_size > 1 and phase is not None:
        _check_batch_norm(trainer, phase.name)


def _check_accumulation(trainer: pl.Trainer) -> None:
    batches = trainer.accumulate_grad_batches
    interval = getattr(trainer, "val_check_interval", None)  # there is none where validations go by the clock
    if batches == 1 or isinstance(interval, float):
        return  # a share of an epoch is rounded to whole steps
    if not isinstance(interval, int):
        raise UserError(
            f"Validations by the clock would fall inside steps of --trainer.accumulate_grad_batches {batches}.\n"
            f"Count batches instead, such as --trainer.val_check_interval {100 * batches}."
        )
    if interval % batches:
        raise UserError(
            f"--trainer.val_check_interval {interval} is no multiple of --trainer.accumulate_grad_batches {batches}:\n"
            "validations would fall inside optimizer steps.\n"
            f"Try --trainer.val_check_interval {-(-interval // batches) * batches}."
        )


def _check_batch_norm(trainer: pl.Trainer, phase: str) -> None:
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if getattr(trainer, "layer_sync", None) is not None:
        if on_cpu:
            raise UserError(
                "--trainer.sync_batchnorm needs GPUs: PyTorch's synchronised BatchNorm does not run on CPUs.\n"
                "Leave it out, or train with one process: --trainer.devices 1."
            )
        return
    log.warning(
        "BatchNorm statistics move in phase %s, and each of the %d processes has its own part of a batch:\n"
        "the run is not that of one process. %s",
        phase,
        trainer.world_size,
        "On GPUs, --trainer.sync_batchnorm true makes it so." if on_cpu else "Add --trainer.sync_batchnorm true.",
    )
