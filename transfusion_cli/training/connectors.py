"""What this program does itself in place of Lightning, by way of private parts of its trainer."""

import lightning.pytorch as pl
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from transfusion_cli.training.together import Together


class NamedCheckpoints(_CheckpointConnector):
    """Restores the checkpoint that was named, and no other.

    Lightning would take any ``hpc_ckpt_N.ckpt`` in the current folder, where it had put it on a scheduler's signal,
    for every later command that runs there.
    """

    _hpc_resume_path = None


class NoSignals(_SignalConnector):
    """Leaves signals to ``Interruption``.

    Lightning's handlers run collectives in whichever process got the signal, and save to the current folder.
    """

    def register_signal_handlers(self) -> None:
        """Register none."""

    def teardown(self) -> None:
        """There is nothing to put back."""


def connect(trainer: pl.Trainer) -> None:
    """Give a trainer these parts."""
    trainer._checkpoint_connector = NamedCheckpoints(trainer)
    trainer._signal_connector = NoSignals(trainer)
    if type(trainer.strategy.launcher) in Together.__bases__:
        trainer.strategy.launcher.__class__ = Together
    # One collective in each batch less: it would tell the other processes of a signal.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
