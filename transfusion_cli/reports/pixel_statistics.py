"""How bright and how rich in contrast the images of a test were, by which those of another hospital are known."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor


class PixelStatistics(pl.Callback):
    """Sums up the images that a test evaluates, as the network gets them but for its normalisation: 0 to 1.

    All processes take part; ``found`` is the same in each.
    """

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self.found: dict[str, float] | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with none."""
        self._sums, self.found = torch.zeros(4, dtype=torch.float64), None

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add the images of a batch of labelled images."""
        if self._sums is None or getattr(pl_module, "learns", None) != "labels" or "image" not in batch:
            return
        pixels = (batch["image"] * pl_module.std + pl_module.mean).flatten(1).float()
        mean, spread = pixels.mean(dim=1), pixels.std(dim=1)
        parts = torch.stack([torch.ones_like(mean), mean, mean.square(), spread]).sum(dim=1)
        self._sums += parts.double().cpu()

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mean brightness, how much it varies between images, and the mean standard deviation within one."""
        if self._sums is None:
            return
        sums: Any = trainer.strategy.reduce(self._sums.float().to(pl_module.device), reduce_op="sum")
        images, total, squares, spread = sums.double().cpu().tolist()
        if images:
            mean = total / images
            between = max(0.0, squares / images - mean**2) ** 0.5
            self.found = {"images": images, "mean": mean, "between_images": between, "within_image": spread / images}
