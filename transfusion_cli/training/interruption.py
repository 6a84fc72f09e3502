"""Being told to stop, by a person or a scheduler, leaves a run that can be resumed."""

import logging
import signal
import sys
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, NoReturn

import lightning.pytorch as pl
import torch

from transfusion_cli.errors import Fault, Stopped
from transfusion_cli.signals import answered, known
from transfusion_cli.training.run_checkpoint import RunCheckpoint, between_steps

log = logging.getLogger(__name__)

SIGNALS = known("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2")
"""What ends a run: Ctrl-C, a terminal or a reader that is gone, and what schedulers send before they end a job."""

SAVE, STOP = 1, 2
"""What processes agree upon."""


class Interruption(pl.Callback):
    """On a signal, finish the optimizer step, write ``last.ckpt`` and stop; a second Ctrl-C stops at once.

    In a validation, that validation and its checkpoint come first. A fault of the machine that the data module could
    bridge (``MedicalDataModule.fault``) ends the run in the same way. Also has ``last.ckpt`` written from time to time.
    Processes agree after each step: it does not matter which of them was told.

    Args:
        checkpoint: writes the checkpoint.
    """

    def __init__(self, checkpoint: RunCheckpoint) -> None:
        self.checkpoint = checkpoint
        self.asked: signal.Signals | None = None
        """The signal, once there was one."""
        self.leaving = False
        """Whether all processes know."""
        self._training = False
        self._undecided = False

    def listening(self) -> AbstractContextManager[None]:
        """Take the signals, from the first phase to the last, but for a hang-up that nohup has ignored."""
        deaf = {number for number in known("SIGHUP") if signal.getsignal(number) == signal.SIG_IGN}
        return answered([number for number in SIGNALS if number not in deaf], self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGPIPE and not getattr(sys.stdout, "unread", False):
            return  # of a worker that died, or of a connection: who writes there gets an error
        if not self._training or (number == signal.SIGINT and self.asked):
            raise Stopped(number)
        if self.asked is None:
            self.asked = signal.Signals(number)
            again = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
            log.info("\n%s: stopping after this step (or validation)%s.", self.asked.name, again)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on there is something to save."""
        self._training, self._undecided = True, True

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save between two steps, where weights, optimizer and counters agree."""
        self._undecided = not between_steps(trainer)
        if not self._undecided and (wish := self._agree(trainer)):
            self.checkpoint.write_last(trainer)
            self.leaving = wish == STOP

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Stop, now that what was logged of the batch before is written.

        Raises:
            Stopped: a signal.
            Fault: a fault.
        """
        # After a validation or an epoch, the checkpoint of this very step has been written.
        if self._undecided and self.checkpoint._last_global_step_saved == trainer.global_step:
            self.leaving = self._agree(trainer) == STOP
        if self.leaving:
            self.leave(trainer)

    def leave(self, trainer: pl.Trainer) -> NoReturn:
        """End the run, for which everything is saved.

        Raises:
            Stopped: a signal.
            Fault: a fault.
        """
        raise self._fault(trainer) or Stopped(self.asked or signal.SIGINT)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Agree on whether another phase begins."""
        self._training = False
        self.leaving = self._agree(trainer) == STOP

    def _agree(self, trainer: pl.Trainer) -> int:
        due = trainer.is_global_zero and self.checkpoint.due
        wish = STOP if self.asked or self._fault(trainer) else SAVE if due else 0
        if trainer.world_size == 1:
            return wish
        wishes = torch.tensor(wish, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
        return int(wishes)

    @staticmethod
    def _fault(trainer: pl.Trainer) -> Fault | None:
        return getattr(trainer.datamodule, "fault", None)  # type: ignore[attr-defined]
