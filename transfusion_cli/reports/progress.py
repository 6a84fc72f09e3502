"""The progress bar."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import TQDMProgressBar


class Progress(TQDMProgressBar):
    """Lightning's bar with the metrics that matter: training loss, and the headline metrics of validation."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The numbers beside the bar: no version number, and the training loss once."""
        metrics = super().get_metrics(trainer, pl_module)
        for name in ("v_num", "train/loss_epoch"):
            metrics.pop(name, None)
        return {name.removesuffix("_step"): value for name, value in metrics.items()}
