"""Where validations may fall when an optimizer step takes several batches."""

import lightning.pytorch as pl

from transfusion_cli.errors import UserError


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
