"""Pictures of masks in TensorBoard."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.reports.mask_figures import case_figure
from transfusion_cli.reports.tensorboard import tensorboard_of
from transfusion_cli.tasks.segmentation import SegmentationTask

CASES = 3
"""Validation cases that are shown after each epoch, the same ones."""

WORST = 4
"""Test cases that are shown, those with the least Dice."""


class MaskPictures(pl.Callback):
    """Show the same few cases after each validation, and the worst cases of a test."""

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Show a case."""
        if batch_idx >= CASES or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        if isinstance(pl_module, SegmentationTask):
            self._show(trainer, pl_module, batch["cases"][0], outputs["predictions"][0], f"val/case {batch_idx + 1}")

    @rank_zero_only
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the worst cases, which this process predicts once more: any process may have had them."""
        if not isinstance(pl_module, SegmentationTask) or pl_module.evaluation is None:
            return
        dice = pl_module.evaluation.scores["dice"].nanmean(1)  # type: ignore[attr-defined]
        order = dice.nan_to_num(nan=2).argsort()[:WORST]
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        cases = data.fixed_set("test")
        place = {int(row): at for at, row in enumerate(cases.rows)}
        for number, at in enumerate(order.tolist(), start=1):
            if tensorboard_of(trainer) is None or dice[at].isnan():
                return
            case = cases[(place[int(pl_module.evaluation.index[at])], 0)]
            with torch.inference_mode():
                prediction = pl_module.eval().predict_case(case)
            self._show(trainer, pl_module, case, prediction, f"test/worst case {number}", float(dice[at]))

    def _show(
        self,
        trainer: pl.Trainer,
        task: SegmentationTask,
        case: dict[str, torch.Tensor],
        prediction: Any,
        name: str,
        dice: float | None = None,
    ) -> None:
        writer = tensorboard_of(trainer)
        if writer is None:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        title = str(data.samples.ids[int(case["index"])]) + ("" if dice is None else f"   Dice {dice:.3f}")
        labels = prediction.labels(task.regions)
        shown = case["image"], case["truth"], labels, case["box"], task.label_names, title, case["spacing"]
        writer.add_figure(name, case_figure(*shown), trainer.current_epoch)
