"""Strategies that go on with the source's classifier."""

from typing import Any

from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.kept_head import NAME, drop_source_head, keep_source_head
from transfusion_cli.strategies.features import FeatureStrategy


class SourceHeadStrategy(FeatureStrategy):
    """A strategy whose term in the loss depends on what the source's classifier makes of the features.

    That classifier is a part of the network, ``source_head``, and trains as the backbone does. ``finalize`` drops it.
    """

    source: nn.Module

    def meet(self, source: nn.Module, classes: int) -> None:
        """Keep the source.

        Raises:
            UserError: it has no classifier.
        """
        if not classes:
            raise UserError(
                f"{type(self).__name__} needs the classifier that the weights were trained with: here is none.\n"
                "Give --model.pretrained weights with it (true where they are published), or use L2SP or DELTA."
            )
        self.classifier(source)
        self.source = source

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put the source's classifier beside the new one."""
        kept: Any = self.source.get_submodule(self.classifier(self.source))
        keep_source_head(network, kept)

    def finalize(self, network: nn.Module) -> None:
        """Drop it."""
        drop_source_head(network)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch the features.

        Raises:
            UserError: the source's classifier is not for such features.
        """
        super().on_fit_start(trainer, pl_module)
        own = pl_module.network.get_submodule(self.classifier(pl_module.network))
        kept = pl_module.network.get_submodule(NAME)
        if not isinstance(kept, nn.Linear) or own.in_features != kept.in_features:
            raise UserError(
                f"The source's classifier does not fit the {own.in_features} features of this network.\n"
                f"Leave out the strategy that changes them, or {type(self).__name__}."
            )
        self.source.to(kept.weight)

    def source_logits(self, network: nn.Module) -> Tensor:
        """What the source's classifier makes of the batch (B, source classes)."""
        logits: Tensor = network.get_submodule(NAME)(self.features)
        return logits
