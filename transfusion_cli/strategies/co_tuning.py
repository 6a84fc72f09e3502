"""The source's classifier learns from the new labels too."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.strategies.labels import check_classes, classes_of
from transfusion_cli.strategies.relation import calibrated_relation
from transfusion_cli.strategies.source_head import SourceHeadStrategy

GROUP = 64
"""Images that the source looks at together, before the training."""


class CoTuning(SourceHeadStrategy):
    """Train the source's classifier as well, on what each new class looks like to it (You et al. 2020).

    Adds ``weight`` times the mean cross-entropy of the source's classifier against p(source class | class of the
    image). That relation is found once, before the training, from what the source says of all training and validation
    images, by a logistic regression that is calibrated on the validation images (see ``calibrated_relation``), and kept
    in checkpoints. An image without a label counts in the mean, with no loss.

    Extra cost: next to none in a step; before the first, one pass of the source over training and validation images and
    seventeen logistic regressions on its answers, images by source classes.

    Args:
        weight: weight of the term.
        source_scale: what the source's logits are multiplied by to be calibrated on its own classes; 0.884 for the
            ResNet-50 of the authors' code, 1 where it is not known.
    """

    def __init__(self, weight: float = 2.3, source_scale: float = 1.0) -> None:
        super().__init__()
        self.weight, self.source_scale = weight, source_scale
        self.relation: Tensor | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch the features.

        Raises:
            UserError: images of the task may have several classes, or see ``SourceHeadStrategy``.
        """
        check_classes(pl_module, "CoTuning", ("binary", "multiclass", "ordinal"))
        super().on_fit_start(trainer, pl_module)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Find the relation, unless that was done."""
        like = next(pl_module.network.parameters())
        if self.relation is None:
            answers = [self._answers(trainer, pl_module, split) for split in ("train", "val")]
            relation = calibrated_relation(answers[0], answers[1], len(pl_module.class_names))
            self.relation = torch.from_numpy(relation)
        self.relation = self.relation.to(like)
        self.source.cpu()

    def _answers(self, trainer: Any, pl_module: Any, split: str) -> Any:
        """What the source says of the images of a split with known classes, and these, as float64 and int64 arrays."""

        def rows() -> Iterator[tuple[Tensor, Tensor]]:
            for batch in trainer.datamodule.whole_dataloader(split, GROUP):
                logits = self.source(pl_module.normalise(batch["image"].to(pl_module.device)))
                classes = classes_of(batch["target"])
                known = classes >= 0
                yield (logits.cpu().double() * self.source_scale).softmax(dim=1)[known], classes[known]

        with torch.no_grad():
            answers, classes = (torch.cat(parts).numpy() for parts in zip(*rows(), strict=True))
        return answers, classes

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """The weighted cross-entropy of the source's classifier."""
        assert self.relation is not None
        classes = classes_of(batch["target"])
        wanted = self.relation[classes.clamp_min(0)] * (classes >= 0)[:, None]
        return -self.weight * (wanted * self.source_logits(network).log_softmax(dim=1)).sum(dim=1).mean()

    def state_dict(self) -> dict[str, Any]:
        """The relation, once it is known."""
        return {"relation": self.relation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that of the run that goes on."""
        self.relation = state_dict["relation"]
