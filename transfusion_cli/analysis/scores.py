"""How good a network's answers are, as analyses state it."""

from collections.abc import Callable, Sequence

from torch import Tensor

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.targets import Target
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.classification import ClassificationTask

Metrics = Callable[[Tensor, Tensor], dict[str, float]]
"""Metrics by name of logits (N, outputs) and targets, such as loss and AUROC."""


def scores_for(task: TransferTask, data: MedicalDataModule) -> Metrics:
    """Loss, AUROC and accuracy of a task's logits.

    Raises:
        UserError: the data have other classes than the network.
    """
    assert isinstance(task, ClassificationTask)
    if list(task.class_names) != list(data.class_names) or task.target != data.target:
        raise UserError(
            f"The network tells {', '.join(task.class_names[:4])}; the data have "
            f"{', '.join(data.class_names[:4])}.\nGive the data it was trained for: --config FILE."
        )

    def score(logits: Tensor, targets: Tensor) -> dict[str, float]:
        loss = task.loss.mean(logits.to(task.device), targets.to(task.device)).item()
        evaluation = ClassificationEvaluation.of_logits(task.target, task.class_names, logits, targets)
        return {"loss": loss, **_brief(evaluation)}

    return score


def auroc_and_accuracy(
    target: Target, class_names: Sequence[str], answers: Tensor, targets: Tensor
) -> dict[str, float]:
    """The two metrics that analyses tell.

    Args:
        target: kind of target.
        class_names: names of the classes or labels.
        answers: probabilities, (N, labels) or (N, classes).
        targets: as the data give them.
    """
    return _brief(ClassificationEvaluation.of(target, class_names, answers, targets))


def _brief(evaluation: ClassificationEvaluation) -> dict[str, float]:
    return {name: evaluation.metrics[name] for name in ("auroc", "accuracy")}
