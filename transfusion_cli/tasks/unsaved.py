"""What a task's saved arguments leave out."""

from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters


def unsaved_arguments() -> list[str]:
    """Arguments that ``save_hyperparameters`` must leave out.

    From the command line Lightning gets them as plain data; objects given in Python cannot be saved safely.
    """
    return [] if _given_hyperparameters.get() is not None else ["transfer", "optimizer", "lr_scheduler"]
