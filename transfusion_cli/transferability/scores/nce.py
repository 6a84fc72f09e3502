"""Negative conditional entropy."""

from torch.nn import functional as F

from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.sample import Sample


class NCE(Score):
    """-H(Y | Z) in nats: what is left to know of the label once the source's likeliest class Z is known."""

    name = "nce"
    title = "NCE"
    paper = "Tran, Nguyen and Hassner, Transferability and hardness of supervised classification tasks, ICCV 2019"
    needs_source = True

    def __call__(self, sample: Sample) -> float:
        """The score."""
        assert sample.source is not None
        decided = F.one_hot(sample.source.argmax(dim=1)).double()
        joint = sample.answers.T @ decided / len(decided)
        return float((joint.xlogy(joint) - joint.xlogy(joint.sum(dim=0))).sum())
