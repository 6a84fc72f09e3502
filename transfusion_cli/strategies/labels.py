"""Targets as classes."""

from typing import Any

import torch
from torch import Tensor

from transfusion_cli.errors import UserError


def check_classes(task: Any, who: str, kinds: tuple[str, ...]) -> None:
    """See that each case of a task has one class.

    Raises:
        UserError: its targets are of no kind among ``kinds``.
    """
    kind = getattr(task, "target", None)
    if kind not in kinds:
        raise UserError(
            f"{who} needs one class for each image ({' or '.join(kinds)}), and these targets are {kind}.\n"
            f"Leave {who} out of --model.transfer, or try BSS."
        )


def classes_of(target: Tensor) -> Tensor:
    """Class of each case (B,), -1 where it is not known, of targets (B,) or of yes and no (B, 1)."""
    if target.ndim == 1:
        return target
    flat = target.squeeze(1)
    return torch.where(flat.isnan(), -1, (flat > 0.5).long())
