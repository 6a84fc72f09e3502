"""A learning-rate schedule that fits itself to the length of a phase."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from transfusion_cli.errors import UserError


class WarmupCosine(LambdaLR):
    """Linear warm-up, then a cosine to a fraction of the starting rate, step by step over the whole phase.

    Args:
        optimizer: the optimizer whose groups it scales.
        warmup: share of the phase's steps spent warming up, in [0, 1).
        floor: final learning rate as a share of the starting one.
        total_steps: optimizer steps of the phase; the task fills it in.
    """

    def __init__(self, optimizer: Optimizer, warmup: float = 0.05, floor: float = 0.0, total_steps: int = 1) -> None:
        if not 0 <= warmup < 1 or not 0 <= floor <= 1:
            raise UserError(f"warmup and floor of WarmupCosine are shares, not {warmup} and {floor}.")
        self.warmup = warmup
        self.floor = floor
        self.total_steps = total_steps
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Share of the starting learning rate at optimizer step ``step``."""
        rising = self.warmup * self.total_steps
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min(1.0, (step - rising) / max(1.0, self.total_steps - rising))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule is; not how long it is, so that a resumed run may be given another length."""
        return {key: value for key, value in super().state_dict().items() if key != "total_steps"}

    def fit_to(self, total_steps: int) -> None:
        """Learn how long the phase is; call before the first step."""
        self.total_steps = total_steps
        self._last_lr = [base * self.factor(self.last_epoch) for base in self.base_lrs]
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = lr
