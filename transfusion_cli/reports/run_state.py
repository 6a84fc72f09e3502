"""How far a run is, told by its folder alone."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transfusion_cli.lock import is_held
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder

State = Literal["running", "finished", "stopped", "failed"]
"""``stopped`` left a checkpoint to go on from, ``failed`` none."""


@dataclass(frozen=True)
class RunState:
    """One run.

    Args:
        record: what its folder says.
        state: what has become of it.
        planned: epochs that its newest configuration asks for; None where that is open.
        best: best value of the metric that its best checkpoint is kept by; None before the first validation.
    """

    record: RunRecord
    state: State
    planned: int | None
    best: float | None

    @classmethod
    def read(cls, folder: RunFolder) -> "RunState":
        """Read a run folder.

        Raises:
            UserError: when a file in it cannot be read.
        """
        record = RunRecord.read(folder)
        planned = record.settings.get("trainer.max_epochs")
        planned = planned if isinstance(planned, int) and planned > 0 else None
        split, _, metric = record.monitor.partition("/")
        best = record.best_validation(metric) if split == "val" else None
        return cls(record, state_of(folder, record.epochs, planned), planned, best)

    @property
    def progress(self) -> str:
        """Epochs done and planned, in words."""
        return f"{self.record.epochs} of {self.planned}" if self.planned else str(self.record.epochs)


def state_of(folder: RunFolder, epochs: int, planned: int | None) -> State:
    """What has become of a run; the end of training leaves the delta, later than the last checkpoint."""
    last, delta = modified(folder.last), modified(folder.delta)
    if is_held(folder.lock):
        return "running"
    if last == -math.inf:
        return "failed"
    return "finished" if delta >= last or (planned is not None and epochs >= planned) else "stopped"


def modified(path: Path) -> float:
    """When a file was last written, in seconds since 1970; minus infinity where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -math.inf
