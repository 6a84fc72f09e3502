"""The loss of an optimizer step, whatever its samples are spread over."""

from collections.abc import Iterable

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from transfusion_cli.tasks.processes import sum_over_processes


class GlobalLoss:
    """The mean loss over all samples of an optimizer step, and over all samples of an epoch.

    A step is spread over processes and accumulated batches. Its loss is the sum over all its samples divided by the
    sum of their weights, so that unknown labels and class weights give the same gradient however the step is spread.
    One reduction in each batch, in which all processes take part, gives every process the same numbers: nothing is
    left to reduce for logs, progress bars and checks, which may run in the first process alone.
    """

    def __init__(self) -> None:
        self._step: Tensor | None = None
        self._epoch: Tensor | None = None
        self._divisor = 1

    def share(
        self, trainer: pl.Trainer, batch_idx: int, total: Tensor, weight: Tensor, penalty: Tensor | None, samples: int
    ) -> Tensor:
        """What this process calls ``backward`` on for one batch.

        The weight of a step over several batches is known with the last of them only. Until then losses are divided by
        the number of samples, which ``correct`` makes good.

        Args:
            trainer: of the task that trains.
            batch_idx: number of the batch in its epoch.
            total: summed loss of this process's samples.
            weight: their summed weight.
            penalty: a term beside the mean over samples, or None.
            samples: their number.
        """
        world, batches = trainer.world_size, trainer.accumulate_grad_batches
        extra = torch.zeros_like(total) if penalty is None else penalty
        mine = torch.stack([total, weight.to(total), extra / world]).detach()
        losses, weights, extras = sum_over_processes(trainer, mine).unbind()
        sums = torch.stack([losses + extras * weights, weights]).to(_precise(losses))
        self._step = sums if self._step is None or batch_idx % batches == 0 else self._step + sums
        self._epoch = sums if self._epoch is None else self._epoch.to(sums) + sums
        # DDP averages gradients over processes; times their number that is the sum over all samples.
        if batches == 1:
            return total * world / weights.clamp_min(torch.finfo(weights.dtype).tiny) + extra
        self._divisor = world * samples
        return (total * world + extra * weights) / self._divisor

    def correct(self, parameters: Iterable[nn.Parameter], batches: int) -> None:
        """Before the optimizer steps: turn accumulated gradients into those of the mean over the step's samples.

        Args:
            parameters: what the optimizer holds.
            batches: accumulated batches, by whose number Lightning has divided.
        """
        if batches == 1:
            return
        assert self._step is not None
        weight = self._step[1]
        factor = torch.where(weight > 0, self._divisor * batches / weight, 0.0).float()
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], factor)

    @property
    def of_step(self) -> Tensor:
        """Mean loss of the step so far, the same in every process."""
        assert self._step is not None
        return self._step[0] / self._step[1].clamp_min(torch.finfo(torch.float32).tiny)

    def end_epoch(self) -> float:
        """Mean loss of the epoch, the same in every process; NaN where no label was known. Begins the next epoch."""
        total, weight = self.state()
        self._epoch = None
        return total / weight if weight else float("nan")

    def state(self) -> list[float]:
        """Summed loss and weight of the epoch so far, for a checkpoint."""
        return [0.0, 0.0] if self._epoch is None else self._epoch.tolist()

    def restore(self, state: list[float]) -> None:
        """Go on from ``state``."""
        self._epoch = torch.tensor(state, dtype=torch.float64)


def _precise(tensor: Tensor) -> torch.dtype:
    """Float64 where the device has it: an epoch may have a million steps."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64
