"""Strategies that look at features."""

from typing import Any

from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import decoder_names, head_names
from transfusion_cli.models.watch import Watch
from transfusion_cli.strategies.base import TransferStrategy


class FeatureStrategy(TransferStrategy):
    """A strategy whose term in the loss depends on the features that the classifier is given.

    They are what the head's layer gets in training: after pooling, and after its dropout where there is one.
    """

    _watch: Watch | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch the head.

        Raises:
            UserError: the network has no single classifier.
        """
        self.on_fit_end(trainer, pl_module)
        self._watch = Watch(pl_module.network, [self.classifier(pl_module.network)], training=True, inputs=True)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
        self._watch = None

    def classifier(self, network: nn.Module) -> str:
        """Name of the classifier.

        Raises:
            UserError: there is none, or several, or it is no linear layer.
        """
        heads = () if decoder_names(network) else head_names(network)
        if len(heads) != 1 or not isinstance(network.get_submodule(heads[0]), nn.Linear):
            raise UserError(
                f"{type(self).__name__} looks at what a linear classifier is given, and this network has none.\n"
                "Leave it out of --model.transfer, or take another network, such as resnet50."
            )
        return heads[0]

    @property
    def features(self) -> Tensor:
        """Those of the batch (B, D), once."""
        assert self._watch is not None
        (found,) = self._watch.take().values()
        return found
