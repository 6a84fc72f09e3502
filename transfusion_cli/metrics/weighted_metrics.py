"""All metrics of a classification under many weightings of its patients at once."""

from __future__ import annotations

import torch
from torch import Tensor

from transfusion_cli.metrics.decision_metrics import DecisionCounts, decision_metrics, indicators, quadratic_kappa
from transfusion_cli.metrics.one_vs_rest import OneVsRest
from transfusion_cli.metrics.weighted_ranking import WeightedRanking
from transfusion_cli.targets import Target


class WeightedMetrics:
    """Metrics by name; what a weighting leaves undefined is NaN, never 0.

    * ``auroc``: area under the ROC curve, ties counting one half. Binary: of the positive class. Otherwise of each
      class or label against the rest (``auroc/<class>``), and their mean.
    * ``average_precision``: the sum over thresholds of precision times the step in recall, without interpolation,
      by class and averaged alike.
    * ``kappa``: Cohen's; ordinal: with quadratic weights; binary: plain.
    * ``accuracy``, ``balanced_accuracy``, ``f1``, ``sensitivity``, ``specificity``: see
      :func:`transfusion_cli.metrics.decision_metrics.decision_metrics`.

    AUROC and average precision of a class need a positive and a negative; a mean is taken over the classes where
    the metric is defined. Unknown targets are left out label by label.

    Args:
        target: the kind of target.
        questions: predictions and truth.
        clusters: int64 ``(N,)``, the cluster of each sample, from 0 to C - 1.
    """

    def __init__(self, target: Target, questions: OneVsRest, clusters: Tensor) -> None:
        num_clusters = max(1, len(clusters.unique()))
        self._target, self._names = target, questions.names
        self._rankings = [
            WeightedRanking(scores[known], truth[known], clusters[known], num_clusters)
            for scores, truth, known in zip(questions.scores.T, questions.truth.T, questions.known.T, strict=True)
        ]
        decided = indicators(questions).float().flatten(0, 1)
        if target == "ordinal":
            truth, chosen = (answers.long().argmax(dim=1) for answers in (questions.truth, questions.chosen))
            squared_error = (truth - chosen).square() * questions.known[:, 0]
            decided = torch.cat([decided, squared_error[None].float()])
        self._counts = torch.zeros(len(decided), num_clusters).index_add_(1, clusters, decided)

    def __call__(self, weights: Tensor) -> dict[str, Tensor]:
        """Metrics ``(R,)`` by name, for float32 weights ``(C, R)`` that count how often each cluster was drawn."""
        auroc, precision = zip(*(ranking(weights) for ranking in self._rankings), strict=True)
        by_class = {"auroc": torch.stack(auroc), "average_precision": torch.stack(precision)}
        metrics = {name: values.nanmean(dim=0) for name, values in by_class.items()}
        totals = (self._counts @ weights).double()
        counts = DecisionCounts(*totals[: 4 * len(self._names)].unflatten(0, (4, -1)))
        metrics |= decision_metrics(self._target, counts)
        if self._target == "ordinal":
            metrics["kappa"] = quadratic_kappa(counts, totals[-1])
        if self._target != "binary":
            for metric, values in by_class.items():
                metrics |= {f"{metric}/{name}": value for name, value in zip(self._names, values, strict=True)}
        return metrics
