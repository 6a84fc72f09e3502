"""What a run says while it runs."""

import logging
import os
import sys
import warnings
from typing import Any

NOISE = (
    (
        r".*overridden `(on_after|transfer)_batch_\w+` in `LightningModule`.*",
        "that belongs to the task, on purpose",
    ),
    (r"Found \d+ module\(s\) in eval mode.*", "what is frozen is in evaluation mode, on purpose"),
    (r".*isinstance\(treespec, LeafSpec\).*", "a deprecation inside Lightning"),
    (r"Checkpoint directory .* exists and is not empty.*", "a resumed run goes on in its own folder"),
    (r"predict returned None.*", "predictions are gathered by the task and written once"),
    (r"It is recommended to use `self.log.*sync_dist.*", "metrics are computed over all processes before logging"),
    (r"The number of training batches .* is smaller than the logging interval.*", "epochs are logged all the same"),
    (r".*does not have many workers.*", "data.num_workers is the user's choice"),
    (r"The `srun` command is available on your system but is not used.*", "every login node has it"),
    (r"Be aware that when using `ckpt_path`, callbacks used to create.*", "a changed config has other callbacks"),
)
"""Warnings of Lightning's that would mislead here, each with the reason why it is no news."""


class ToStderr(logging.StreamHandler[Any]):
    """Writes to what stderr is at the moment, not to what it was when logging was set up."""

    @property
    def stream(self) -> Any:
        """Stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        """Stays as it is."""


def quieten() -> None:
    """Let our own log lines through, from the first process alone, and hide what would mislead."""
    log = logging.getLogger("transfusion_cli")
    if not log.handlers:
        handler = ToStderr()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
    first = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    log.setLevel(logging.INFO if first else logging.ERROR)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern, _ in NOISE:
        warnings.filterwarnings("ignore", pattern)
