"""Stop a run whose loss or weights are no longer numbers, before such weights are saved."""

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.tasks.processes import sum_over_processes


class LossWatch:
    """Notes the first training batch whose loss is not finite, and stops the run soon after.

    Looking at the note waits for the device, so it is done at each logged step, and before validating and saving. There
    the weights are looked at too: a finite loss may have had an infinite gradient.
    """

    def __init__(self) -> None:
        self._first_bad: Tensor | None = None

    def note(self, trainer: pl.Trainer, loss: Tensor) -> None:
        """See the loss of a batch, the same number in every process."""
        step = trainer.fit_loop.epoch_loop.total_batch_idx
        if self._first_bad is None:
            self._first_bad = torch.full((), torch.inf, device=loss.device)
        bad = ~torch.isfinite(loss.detach())
        self._first_bad = torch.where(bad, self._first_bad.clamp_max(step), self._first_bad)
        if step % max(1, trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self.check_loss(trainer)

    def check_loss(self, trainer: pl.Trainer) -> None:
        """Stop if a training loss was NaN or infinite.

        Raises:
            UserError: saying in which batch, and what to try.
        """
        if self._first_bad is not None and torch.isfinite(self._first_bad):
            raise _diverged(trainer, f"The training loss became NaN or infinite at batch {int(self._first_bad)}")

    def check(self, trainer: pl.Trainer, network: nn.Module) -> None:
        """Stop if a training loss, a weight that trains or a statistic is NaN or infinite; all processes take part.

        Raises:
            UserError: saying where, and what to try.
        """
        self.check_loss(trainer)
        if self._first_bad is None:  # nothing has been trained
            return
        fixed = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
        state = network.state_dict().items()
        bad = [name for name, tensor in state if name not in fixed and not torch.isfinite(tensor).all()]
        # Statistics may differ between processes, and all have to stop together.
        count = torch.tensor(float(len(bad)), device=self._first_bad.device)
        if sum_over_processes(trainer, count).item():
            raise _diverged(trainer, f"{bad[0] if bad else 'A statistic of another process'} became NaN or infinite")


def _diverged(trainer: pl.Trainer, what: str) -> UserError:
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    advice = "Try a lower rate" + (f", such as --model.optimizer.lr {rate / 10:.1g}" if 0 < rate < torch.inf else "")
    return UserError(
        f"{what} (epoch {trainer.current_epoch}).\n"
        f"The checkpoints of the run are from before. {advice},\n"
        "or --trainer.gradient_clip_val 1.0; --trainer.precision 32-true rules out overflow."
    )
