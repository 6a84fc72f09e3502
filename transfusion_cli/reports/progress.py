"""The progress bar."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import TQDMProgressBar


class Progress(TQDMProgressBar):
    """Lightning's bar with the metrics that matter: training loss, and the headline metrics of validation.

    Lightning's own way to the numbers computes whatever was logged, collectives over processes included, and the bar
    is shown by the first process alone. So it shows plain numbers that the task put down.
    """

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The numbers beside the bar."""
        return {name: f"{float(value):.3g}" for name, value in getattr(pl_module, "shown", {}).items()}
