"""What would make a run depend on how it is spread over processes and accumulated batches."""

import logging
from typing import TYPE_CHECKING

import lightning.pytorch as pl

from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.tasks.base import TransferTask
    from transfusion_cli.tasks.trainer import Trainer

log = logging.getLogger(__name__)


def check_spread(trainer: "Trainer", task: "TransferTask") -> None:
    """Refuse what cannot be resumed exactly, and say what several processes change.

    Raises:
        UserError: validations would fall inside an optimizer step, or BatchNorm cannot be synchronised here.
    """
    _check_accumulation(trainer)
    phase = next((phase for phase in task.plan if phase.moving(task.transferred.parts)), None)
    if trainer.world_size > 1 and phase is not None:
        _check_batch_norm(trainer, phase.name)


def _check_accumulation(trainer: "Trainer") -> None:
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


def validate_between_steps(trainer: pl.Trainer) -> None:
    """Round the batches between two validations, given as a share of the epoch, to whole optimizer steps.

    To be called when the length of an epoch is known.

    Raises:
        UserError: validations are counted over epochs that end with a step of fewer batches.
    """
    batches, interval, epoch = trainer.accumulate_grad_batches, trainer.val_check_batch, trainer.num_training_batches
    if batches == 1 or interval is None:
        return
    if trainer.check_val_every_n_epoch is None and epoch % batches:
        raise UserError(
            f"An epoch has {epoch} batches, no multiple of --trainer.accumulate_grad_batches {batches}: counted over\n"
            "epochs, validations would fall inside optimizer steps.\n"
            "Leave out --trainer.check_val_every_n_epoch null, or accumulate another number of batches."
        )
    if interval < epoch:
        trainer.val_check_batch = max(1, interval // batches) * batches


def _check_batch_norm(trainer: "Trainer", phase: str) -> None:
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if trainer.layer_sync is not None:
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
