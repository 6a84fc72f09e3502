"""What the size of things alone tells of their class: the number that a network has to beat."""

from dataclasses import replace
from typing import Any

import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.results import Results, build_results


def size_alone(evaluation: Evaluation, data: Any) -> Results:
    """AUROC of the sizes that the data know, larger for positive, under ``test/auroc_of_size_alone``.

    Args:
        evaluation: of the test split.
        data: the datamodule it is of.

    Returns:
        One entry like that of the network's AUROC; none where no sizes are known or classes are not two.
    """
    if not isinstance(evaluation, ClassificationEvaluation) or evaluation.target != "binary":
        return {}
    sizes = data.sizes(evaluation.index.numpy())
    if sizes is None:
        return {}
    scores = torch.as_tensor(sizes, dtype=torch.float64)[:, None]
    alone = replace(evaluation, probabilities=scores / scores.max().clamp(min=1), scores=scores, loss=None)
    return {"test/auroc_of_size_alone": build_results(alone)["test/auroc"]}
