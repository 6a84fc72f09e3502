"""Classification of images: binary, multi-class, multi-label and ordinal."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import classification_metrics
from transfusion_cli.metrics.one_vs_rest import question_names
from transfusion_cli.metrics.predictions import Predictions, PredictionTable
from transfusion_cli.metrics.probabilities import log_odds, probabilities
from transfusion_cli.targets import Target, num_logits
from transfusion_cli.tasks.base import CHECKPOINT_KEY, TransferTask, unsaved_arguments
from transfusion_cli.tasks.losses import ClassificationLoss, balanced_weights


@dataclass(frozen=True)
class Evaluation:
    """What the network said about a whole split, each sample once.

    Args:
        table: sample indices, logits and targets.
        probabilities: (N, L) or (N, K).
        metrics: by name, without the split's prefix.
        scores: what to rank by, of the shape of the probabilities; None for the probabilities themselves.
    """

    table: PredictionTable
    probabilities: Tensor
    metrics: dict[str, float]
    scores: Tensor | None = None


class ClassificationTask(TransferTask):
    """Fine-tune a backbone to classify images.

    Args:
        target: kind of target; follows the data.
        class_names: names of the classes or labels; follows the data.
        class_weights: weight of each class (multiclass, ordinal) or of each label's positives (binary, multilabel);
            ``auto`` balances the training split.
        label_smoothing: share of each target spread evenly over all classes, its own among them, in [0, 1).
        focal_gamma: focusing exponent of the focal loss, 0 or more; 0 is plain cross-entropy.
        kwargs: as for ``TransferTask``.
    """

    def __init__(
        self,
        target: Target = "multiclass",
        class_names: list[str] | None = None,
        class_weights: list[float] | Literal["auto"] | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.save_hyperparameters(ignore=unsaved_arguments())
        if not class_names:
            raise UserError("ClassificationTask needs class_names.\nOn the command line they follow from --data.")
        self.target: Target = target
        self.class_names = list(class_names)
        self.class_weights = class_weights
        self.loss = ClassificationLoss(target, self._given_weights(), label_smoothing, focal_gamma)
        self.predictions = Predictions(target, len(self.class_names))
        self.evaluation: Evaluation | None = None
        self.validation_metrics: dict[str, float] = {}

    @property
    def num_outputs(self) -> int:
        """Logits of the head."""
        return num_logits(self.target, len(self.class_names))

    @property
    def metric_names(self) -> frozenset[str]:  # type: ignore[override]
        """All that it logs in training and validation."""
        columns = len(question_names(self.target, self.class_names))
        targets = torch.zeros(0, columns) if self.target in ("binary", "multilabel") else torch.zeros(0).long()
        measured = classification_metrics(self.target, self.class_names, torch.zeros(0, columns), targets)
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

    # --- steps ----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """This process's share of the loss of an optimizer step."""
        logits = self(batch["image"])
        total, weight = self.loss(logits, batch["target"])
        penalty = self.transfer.regularize(self.network, batch, logits)
        return self.backward_share(batch_idx, total, weight, penalty, len(logits))

    def _predict(self, batch: dict[str, Tensor]) -> None:
        self.predictions.update(batch["index"], self(batch["image"]), batch["target"])

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect the predictions of a validation batch."""
        self._predict(batch)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect the predictions of a test batch."""
        self._predict(batch)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect the predictions of a batch."""
        self._predict(batch)

    def _evaluate(self) -> Evaluation:
        table = self.predictions.compute()
        self.predictions.reset()
        p, scores = probabilities(self.target, table.logits), log_odds(self.target, table.logits)
        metrics = {"loss": self.loss.mean(table.logits.to(self.device), table.targets.to(self.device)).item()}
        metrics |= classification_metrics(self.target, self.class_names, p, table.targets, scores)
        self.evaluation = Evaluation(table, p, metrics, scores)
        return self.evaluation

    def on_validation_epoch_end(self) -> None:
        """Metrics of the whole validation split; equal on every process."""
        metrics = {f"val/{name}": value for name, value in self._evaluate().metrics.items()}
        self.shown |= {name: metrics[name] for name in ("val/loss", "val/auroc", "val/kappa") if name in metrics}
        self.log_dict(metrics)
        if not self.trainer.sanity_checking:
            self.validation_metrics = metrics
            self.optimisation.step_plateau(metrics)

    def on_test_epoch_end(self) -> None:
        """Metrics of the whole test split; equal on every process."""
        self.log_dict({f"test/{name}": value for name, value in self._evaluate().metrics.items()})

    def on_predict_epoch_end(self) -> None:
        """Gather the predictions of all processes."""
        self._evaluate()

    # --- checkpoints ----------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Add what the outputs mean, and how good they were."""
        own = {"target": self.target, "class_names": self.class_names, "metrics": self.validation_metrics}
        return super().describe() | own

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the validation metrics of the checkpoint."""
        super().on_load_checkpoint(checkpoint)
        self.validation_metrics = checkpoint[CHECKPOINT_KEY]["metrics"]
