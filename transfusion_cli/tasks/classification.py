"""Classification of images: binary, multi-class, multi-label and ordinal."""

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.records import Records, RecordTable
from transfusion_cli.targets import Target, in_words, num_logits
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.losses import ClassificationLoss, balanced_weights
from transfusion_cli.tasks.unsaved import unsaved_arguments


class ClassificationTask(TransferTask):
    """Fine-tune a backbone to classify images.

    Args:
        target: kind of target; follows the data.
        class_names: names of the classes or labels; follows the data.
        class_weights: weight of each class (multiclass, ordinal) or of each label's positives (binary, multilabel);
            ``auto`` balances the training split.
        label_smoothing: share of each target spread evenly over all classes, its own among them, in [0, 1).
        focal_gamma: focusing exponent of the focal loss, 0 or more; 0 is plain cross-entropy.
        mirror: evaluate the mean of the logits of each image and of its mirror image, left for right, in twice the
            time: in ``test``, ``predict``, ``validate`` and ``calibrate``. Validation while it trains stays plain, so
            that what is monitored, and the best epoch, are the same without it.
        kwargs: as for ``TransferTask``.
    """

    loss: ClassificationLoss
    headline = ("loss", "auroc", "kappa")
    learns = "labels"

    def __init__(
        self,
        target: Target = "multiclass",
        class_names: list[str] | None = None,
        class_weights: list[float] | Literal["auto"] | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        mirror: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.save_hyperparameters(ignore=unsaved_arguments())
        if not class_names:
            raise UserError("ClassificationTask needs class_names.\nOn the command line they follow from --data.")
        self.target: Target = target
        self.class_names = list(class_names)
        self.class_weights = class_weights
        self.mirror = mirror
        self.loss = ClassificationLoss(target, self._given_weights(), label_smoothing, focal_gamma)
        self.records = Records(logits=torch.empty(0, self.num_outputs), targets=self._no_targets)

    @property
    def num_outputs(self) -> int:
        """Logits of the head."""
        return num_logits(self.target, len(self.class_names))

    @property
    def _no_targets(self) -> Tensor:
        """Targets of no image."""
        labels = self.target in ("binary", "multilabel")
        return torch.empty(0, self.num_outputs) if labels else torch.empty(0, dtype=torch.int64)

    @property
    def metric_names(self) -> frozenset[str]:  # type: ignore[override]
        """All that it logs in training and validation."""
        nothing = torch.empty(0, self.num_outputs)
        measured = ClassificationEvaluation.of_logits(self.target, self.class_names, nothing, self._no_targets).metrics
        return frozenset(("train/loss_step", "train/loss_epoch", "val/loss", *(f"val/{name}" for name in measured)))

    def _given_weights(self) -> Tensor | None:
        if self.class_weights is None or self.class_weights == "auto":
            return None
        expected = 1 if self.target == "binary" else len(self.class_names)
        if len(self.class_weights) != expected:
            raise UserError(
                f"class_weights has {len(self.class_weights)} values; {self.target} targets with "
                f"{len(self.class_names)} classes need {expected}."
            )
        return torch.tensor(self.class_weights, dtype=torch.float32)

    def setup(self, stage: str) -> None:
        """Balance the loss by the training split where ``class_weights`` is ``auto``."""
        if stage == "fit" and self.class_weights == "auto":
            samples = self.trainer.datamodule.samples  # type: ignore[attr-defined]
            targets = torch.as_tensor(samples.targets[samples.rows("train")])
            weights = balanced_weights(self.target, targets, len(self.class_names))
            self.loss.class_weights = weights.to(self.device)

    # --- evaluation -----------------------------------------------------------------------------------------

    def record(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits and targets."""
        logits = self.head_inputs.outputs(self, batch)
        if self.mirror and self.trainer.state.fn != "fit":
            # Of logits, as masks have it: calibration is fitted to logits, and ranks stay apart where probabilities
            # are 1 to the last bit.
            logits = (logits + self(batch["image"].flip(-1))) / 2
        return {"logits": logits, "targets": batch["target"]}

    def evaluate(self, table: RecordTable) -> ClassificationEvaluation:
        """The evaluation of a split, its loss included."""
        logits, targets = table["logits"], table["targets"]
        loss = self.loss.mean(logits.to(self.device), targets.to(self.device)).item()
        evaluation = ClassificationEvaluation.of_logits(self.target, self.class_names, logits, targets)
        return replace(evaluation, index=table.index, loss=loss)

    def captions(self, target: Tensor) -> list[str]:
        """Labels in words."""
        return [in_words(self.target, self.class_names, answer) for answer in target]

    def describe(self) -> dict[str, Any]:
        """Add what the outputs mean."""
        return super().describe() | {"target": self.target, "class_names": self.class_names}
