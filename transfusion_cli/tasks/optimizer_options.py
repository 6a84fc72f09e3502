"""What the configuration says of an optimizer, kept apart from what training made of it."""

import logging
from typing import Any

from torch.optim import Optimizer

logger = logging.getLogger(__name__)

Options = list[dict[str, Any]]
"""Options of each parameter group."""


def plain_options(optimizer: Optimizer) -> Options:
    """The options of a fresh optimizer that are plain numbers and names."""
    return [
        {key: value for key, value in group.items() if isinstance(value, bool | int | float | str)}
        for group in optimizer.param_groups
    ]


def apply_changed_options(optimizer: Optimizer, schedules: list[Any], before: Options, now: Options) -> None:
    """Let a resumed run follow options that were changed since: the restored optimizer has the old ones.

    What the configuration did not change goes on exactly. A new learning rate scales the present one, so that a
    schedule keeps its place.

    Args:
        optimizer: restored from a checkpoint.
        schedules: its learning-rate schedules, restored too.
        before: options that the checkpoint's run was configured with; empty for a run that was not resumed.
        now: options that this run is configured with.
    """
    for index, (old, new) in enumerate(zip(before, now, strict=False)):
        group = optimizer.param_groups[index]
        for key in (key for key in new if key in old and new[key] != old[key]):
            logger.info("%s of %s changes from %s to %s", key, new["name"], old[key], new[key])
            if key != "lr":
                group[key] = new[key]
                continue
            group["lr"] = group["lr"] * new["lr"] / old["lr"] if old["lr"] else new["lr"]
            for schedule in schedules:
                schedule.base_lrs[index] = new["lr"]
