"""Stop a run whose loss is no longer a number, before such weights are saved."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.tasks.base import TransferTask


class LossWatch:
    """Notes the first training batch whose loss is not finite, and stops the run soon after.

    Looking at the note waits for the device, so it is done at each logged step, and before validating and saving.
    """

    def __init__(self) -> None:
        self._first_bad: Tensor | None = None

    def note(self, task: "TransferTask", loss: Tensor) -> None:
        """See the loss of a batch."""
        step = task.trainer.fit_loop.epoch_loop.total_batch_idx
        if self._first_bad is None:
            self._first_bad = torch.full((), torch.inf, device=loss.device)
        bad = ~torch.isfinite(loss.detach())
        self._first_bad = torch.where(bad, self._first_bad.clamp_max(step), self._first_bad)
        if step % task.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.check(task)

    def check(self, task: "TransferTask") -> None:
        """Stop if a training loss was NaN or infinite, on this or another process.

        Raises:
            UserError: saying in which batch, and what to try.
        """
        if self._first_bad is None or task.sum_over_processes(torch.isfinite(self._first_bad).float()).item() == 0:
            return
        where = f"batch {int(self._first_bad)}" if torch.isfinite(self._first_bad) else "a batch of another process"
        lower = task.trainer.optimizers[0].param_groups[0]["lr"] / 10
        raise UserError(
            f"The training loss became NaN or infinite at {where} (epoch {task.trainer.current_epoch}).\n"
            f"The checkpoints of the run are from before. Try a lower rate, such as --model.optimizer.lr {lower:.1g},\n"
            "or --trainer.gradient_clip_val 1.0; --trainer.precision 32-true rules out overflow."
        )
