"""A linear probe, a baseline."""

import warnings

import torch
from torch import Tensor

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.held_out import folds, macro_auroc
from transfusion_cli.transferability.scores.sample import Sample


class LinearProbe(Score):
    """AUROC (mean over classes against the rest) of a logistic regression, cross-validated by patient.

    Of features less their mean, scaled to a mean variance of 1, so that one penalty serves all networks. The
    probabilities of all folds are ranked together.

    Args:
        count: folds.
        strength: the inverse of the L2 penalty.
    """

    name = "linear_probe"
    title = "Linear probe"
    paper = "Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2017"

    def __init__(self, count: int = 5, strength: float = 1.0) -> None:
        self.count, self.strength = count, strength

    def __call__(self, sample: Sample) -> float:
        """The score."""
        return macro_auroc(sample, self.chances(sample))

    def chances(self, sample: Sample) -> Tensor:
        """Probabilities of the classes by the fold that did not see the patient: float64 (N, K)."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        features, dimensions = sample.principal, sample.features.shape[1]
        features = features / (features.square().mean(dim=0).sum() / dimensions).sqrt()
        fold, chances = folds(sample, self.count), torch.zeros(len(features), sample.classes, dtype=torch.float64)
        for number in fold.unique():
            shown, asked = fold != number, fold == number
            known = sample.labels[shown].unique()
            if len(known) < 2:
                chances[asked[:, None] & (torch.arange(sample.classes) == known[:1])] = 1.0
                continue
            probe = LogisticRegression(C=self.strength, tol=1e-3, max_iter=200)  # ranks are settled long before
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                probe.fit(features[shown].numpy(), sample.labels[shown].numpy())
            answers = torch.from_numpy(probe.predict_proba(features[asked].numpy()))
            chances[asked.nonzero(), known] = answers
        return chances
