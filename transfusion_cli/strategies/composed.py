"""Several strategies as one."""

from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import TransferStrategy, overrides
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase


class Composed(TransferStrategy):
    """A list of strategies, applied in order.

    Initialisations and adaptations follow each other, loss terms add up, and what trains is decided by the one
    strategy that says so (by none: everything trains).

    Args:
        strategies: the strategies, in order.

    Raises:
        UserError: when two strategies decide what trains, or the list is empty.
    """

    def __init__(self, strategies: list[TransferStrategy]) -> None:
        super().__init__()
        if not strategies:
            raise UserError("model.transfer is an empty list.\nName at least one strategy, such as FullFineTuning.")
        self.strategies = strategies
        selecting = [strategy for strategy in strategies if overrides(strategy, "select")]
        if len(selecting) > 1:
            names = " and ".join(type(strategy).__name__ for strategy in selecting)
            raise UserError(
                f"{names} both decide what trains.\nKeep one of them in model.transfer; head_epochs adds a head phase."
            )
        self._selector = selecting[0] if selecting else strategies[0]

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Run every initialisation in order; without any, load the pretrained weights."""
        initializing = [strategy for strategy in self.strategies if overrides(strategy, "initialize")]
        for strategy in initializing or self.strategies[:1]:
            strategy.initialize(network, source, generator)

    def meet(self, source: nn.Module, classes: int) -> None:
        """Show the source to each."""
        for strategy in self.strategies:
            strategy.meet(source, classes)

    @property
    def meets_source(self) -> bool:
        """Whether one of them wants to."""
        return any(strategy.meets_source for strategy in self.strategies)

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Adapt the architecture, strategy by strategy."""
        for strategy in self.strategies:
            strategy.adapt(network, pretrained)

    def regroup(self, parts: NetworkParts) -> NetworkParts:
        """The parts as the strategy that selects sees them."""
        return self._selector.regroup(parts)

    def select(self, parts: NetworkParts) -> list[Phase]:
        """The plan of the one strategy that has one."""
        return self._selector.select(parts)

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor | None:
        """The sum of the loss terms."""
        terms = [strategy.regularize(network, batch, logits) for strategy in self.strategies]
        present = [term for term in terms if term is not None]
        return torch.stack(present).sum() if present else None

    def finalize(self, network: nn.Module) -> None:
        """Undo the adaptations, last first."""
        for strategy in reversed(self.strategies):
            strategy.finalize(network)


def as_strategy(transfer: TransferStrategy | list[TransferStrategy]) -> Composed:
    """One strategy or a list of them, as a composition."""
    return Composed(transfer if isinstance(transfer, list) else [transfer])
