"""Stop a run whose loss or weights are no longer numbers, before such weights are saved."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from transfusion_cli.tasks.base import TransferTask


class LossWatch:
    """Notes the first training batch whose loss is not finite, and stops the run soon after.

    Looking at the note waits for the device, so it is done at each logged step, and before validating and saving. There
    the weights are looked at too: a finite loss may have had an infinite gradient.
    """

    def __init__(self) -> None:
        self._first_bad: Tensor | None = None

    def note(self, task: "TransferTask", loss: Tensor) -> None:
        """See the loss of a batch, the same number in every process."""
        step = task.trainer.fit_loop.epoch_loop.total_batch_idx
        if self._first_bad is None:
            self._first_bad = torch.full((), torch.inf, device=loss.device)
        bad = ~torch.isfinite(loss.detach())
        self._first_bad = torch.where(bad, self._first_bad.clamp_max(step), self._first_bad)
        if step % max(1, task.trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self.check_loss(task)

    def check_loss(self, task: "TransferTask") -> None:
        """Stop if a training loss was NaN or infinite.

        Raises:
            UserError: saying in which batch, and what to try.
        """
        if self._first_bad is not None and torch.isfinite(self._first_bad):
            raise _diverged(task, f"The training loss became NaN or infinite at batch {int(self._first_bad)}")

    def check(self, task: "TransferTask") -> None:
        """Stop if a training loss, a weight or a running statistic is NaN or infinite; all processes take part.

        Raises:
            UserError: saying where, and what to try.
        """
        self.check_loss(task)
        if self._first_bad is None:  # nothing has been trained
            return
        bad = [name for name, tensor in task.network.state_dict().items() if not torch.isfinite(tensor).all()]
        # Statistics may differ between processes, and all have to stop together.
        if task.sum_over_processes(torch.tensor(float(len(bad)), device=task.device)).item():
            raise _diverged(task, f"{bad[0] if bad else 'A statistic of another process'} became NaN or infinite")


def _diverged(task: "TransferTask", what: str) -> UserError:
    rate = task.trainer.optimizers[0].param_groups[0]["lr"]
    advice = "Try a lower rate" + (f", such as --model.optimizer.lr {rate / 10:.1g}" if 0 < rate < torch.inf else "")
    return UserError(
        f"{what} (epoch {task.trainer.current_epoch}).\n"
        f"The checkpoints of the run are from before. {advice},\n"
        "or --trainer.gradient_clip_val 1.0; --trainer.precision 32-true rules out overflow."
    )
