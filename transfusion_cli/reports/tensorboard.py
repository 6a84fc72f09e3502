"""What TensorBoard shows beside the curves that the task logs."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.reports import figures
from transfusion_cli.reports.mask_figures import patch_figure
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.segmentation import SegmentationTask

IMAGES = 16
"""So many augmented images of the first batch are shown."""


class TensorBoardReport(pl.Callback):
    """Log the audit, a batch of augmented images, ROC, PR and confusion figures, and the drift of BatchNorm.

    Drift of a layer's scale or shift is the relative change ``|now - start| / |start|`` since training began, in the
    Euclidean norm (absolute where the start is zero); shown per layer as a curve and, for the last epoch, as a figure.
    """

    def __init__(self) -> None:
        self._start: dict[str, dict[str, Tensor]] = {}

    def state_dict(self) -> dict[str, Any]:
        """Where scale and shift started, so that a resumed run measures drift from there."""
        return {"start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self._start = state_dict["start"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what trains, and remember where scale and shift start."""
        if not self._start:
            self._start = _affine(pl_module)
        writer = tensorboard_of(trainer)
        if writer is not None:
            writer.add_text("what trains", f"```\n{pl_module.audit()}\n```", trainer.current_epoch)  # type: ignore[operator]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Show the first batch as the network sees it, augmented."""
        writer = tensorboard_of(trainer)
        if trainer.global_step > 0 or writer is None or not isinstance(pl_module, TransferTask):
            return
        if "image" not in batch:  # features that were computed before
            return
        images = (batch["image"][:IMAGES] * pl_module.std + pl_module.mean).clamp(0, 1).float().cpu()
        targets = batch["target"][:IMAGES].cpu()
        if isinstance(pl_module, SegmentationTask):
            figure = patch_figure(images, targets, pl_module.label_names)
        else:
            figure = figures.image_grid(images, pl_module.captions(targets))
        writer.add_figure("images/first training batch", figure, 0)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the figures of this epoch."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._draw(trainer, pl_module, "val")
        self._log_drift(trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the figures of the test split."""
        self._draw(trainer, pl_module, "test")

    def _draw(self, trainer: pl.Trainer, task: pl.LightningModule, split: str) -> None:
        writer = tensorboard_of(trainer)
        if writer is None or not isinstance(task, TransferTask) or task.evaluation is None:
            return
        for name, figure in figures.evaluation_figures(task.evaluation).items():
            writer.add_figure(f"{split}/{name}", figure, trainer.current_epoch)

    def _log_drift(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        now = _affine(task)
        writer = tensorboard_of(trainer)
        if not now or writer is None:
            return
        drift: dict[str, dict[str, float]] = {}
        for layer, affine in now.items():
            drift[layer] = {part: _relative(value, self._start[layer][part]) for part, value in affine.items()}
            for part, value in drift[layer].items():
                writer.add_scalar(f"weights/drift of {part}/{layer}", value, trainer.global_step)
        writer.add_figure("weights/drift of scale and shift", figures.drift_figure(drift), trainer.current_epoch)


def tensorboard_of(trainer: pl.Trainer) -> Any:
    """The writer of TensorBoard's events; None in other processes, and without TensorBoard."""
    if not trainer.is_global_zero:
        return None
    return next((logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


def _affine(task: pl.LightningModule) -> dict[str, dict[str, Tensor]]:
    layers = batch_norm_layers(task.network)  # type: ignore[arg-type]
    return {
        name: {"scale": layer.weight.detach().float().cpu().clone(), "shift": layer.bias.detach().float().cpu().clone()}
        for name, layer in layers.items()
        if layer.affine
    }


def _relative(now: Tensor, start: Tensor) -> float:
    norm = torch.linalg.vector_norm(start)
    return float(torch.linalg.vector_norm(now - start) / (norm if norm > 0 else 1.0))
