"""Predicted masks as files."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

from transfusion_cli.reports.mask_figures import overlay
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.segmentation import SegmentationTask
from transfusion_cli.versions import free_path


class MaskWriter(pl.Callback):
    """Let ``predict`` write a mask for each case, in the geometry and format of its image, and an overlay to look at.

    They lie in ``masks/`` of the run folder, or in ``masks_1/`` where that is taken: ``<case>.*`` and
    ``overlays/<case>.png``, in the folders that the name of a case has; probabilities, where the task is to keep them,
    in ``<case>_probabilities.npz`` as ``probabilities``, float16 (K, *S0).

    Args:
        folder: of the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.masks: Path | None = None
        """Where they are."""

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose a folder that nothing has yet, the same for all processes."""
        if isinstance(pl_module, SegmentationTask):
            self.masks = trainer.strategy.broadcast(free_path(self.folder.masks))
            self.masks.mkdir(parents=True, exist_ok=True)

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Write the cases of a batch."""
        from PIL import Image

        if self.masks is None or not isinstance(pl_module, SegmentationTask):
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        reader = data.case_reader(data.predict_split)
        for case, prediction in zip(batch["cases"], outputs["predictions"], strict=True):
            if case["index"] < 0:  # it could not be read, and stands for another row
                continue
            labels = prediction.labels(pl_module.regions)
            file = reader.write(int(case["index"]), labels.numpy(), self.masks)
            name = file.relative_to(self.masks).with_name(Path(file.name.removesuffix(".gz")).stem)
            picture = overlay(case["image"], labels, case["box"], len(pl_module.class_names))
            looked_at = self.masks / "overlays" / f"{name}.png"
            looked_at.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(looked_at)
            if prediction.probabilities is not None:
                chances = prediction.probabilities.numpy()
                np.savez_compressed(self.masks / f"{name}_probabilities.npz", probabilities=chances)
