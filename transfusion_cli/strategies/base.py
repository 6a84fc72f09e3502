"""The contract of a transfer strategy."""

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, Rates, Statistics, rates


class TransferStrategy(Callback):
    """How pretrained weights are carried over to a new task.

    A strategy answers four questions, each a method with a neutral default: load all pretrained weights, keep
    the architecture, train everything, add nothing to the loss. Override what differs. It is a Lightning
    callback too, so it may use any training hook.
    """

    def initialize(self, network: nn.Module, source: dict[str, Tensor], generator: torch.Generator) -> None:
        """Give the network its starting weights, in place.

        Args:
            network: freshly created, with random weights.
            source: the pretrained tensors that fit the network, by state-dict name; empty without pretraining.
            generator: the only source of randomness to draw from, seeded by the run.
        """
        if source:
            network.load_state_dict(source, strict=False)

    def meet(self, source: nn.Module, classes: int) -> None:
        """Keep what is needed of the source later on; called before ``adapt``, of this strategy and of all others.

        Args:
            source: the network as its weights say, with their own classifier where that is known; in evaluation mode,
                without gradients. It must stay as it is. Its numbers are of no meaning where a checkpoint is read,
                which is to bring back, as this strategy's state, what was kept.
            classes: outputs of that classifier; 0 where the source has none.
        """

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Change the architecture, in place.

        Args:
            network: the initialised network.
            pretrained: state-dict names that came from the pretrained source.
        """

    def regroup(self, parts: NetworkParts) -> NetworkParts:
        """The parts as this strategy sees them, for what it selects, its learning rates and the audit."""
        return parts

    def select(self, parts: NetworkParts) -> list[Phase]:
        """Plan what trains, phase by phase."""
        return [Phase("full", parts.names)]

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor | None:
        """A term to add to the loss of a training batch, or None."""
        return None

    def finalize(self, network: nn.Module) -> None:
        """Undo what ``adapt`` did, in place, so that the network is an ordinary timm network for export."""

    @property
    def meets_source(self) -> bool:
        """Whether it wants to: a network is made for it."""
        return overrides(self, "meet")

    @property
    def state_key(self) -> str:
        """The name under which Lightning keeps this strategy's state in a checkpoint."""
        return f"TransferStrategy.{type(self).__name__}"


def overrides(strategy: TransferStrategy, method: str) -> bool:
    """Whether a strategy replaces one of the default answers."""
    return getattr(type(strategy), method) is not getattr(TransferStrategy, method)


class PhasedStrategy(TransferStrategy):
    """A strategy with an optional head phase before its main phase.

    Args:
        statistics: what BatchNorm statistics do in the main phase: ``frozen`` (stored statistics in training and
            evaluation, buffers never change), ``update`` (batch statistics, running averages move) or
            ``reestimate`` (recomputed once on the training set, then frozen). Layers that were not carried over
            always update, but for ``frozen_all``.
        momentum: BatchNorm momentum, PyTorch's sense (0.1 = a tenth of each new batch); null keeps the layers' own.
        lr: learning rate of the main phase: one number, or one per group (head, decoder, scale_and_shift, adapter,
            rest);
            null takes the optimizer's.
        head_epochs: epochs of a first phase that trains the head alone on frozen features, and with it the decoder
            where it was not carried over; 0 skips it.
        head_early_stop: let early stopping end the head phase before ``head_epochs``, keeping its best weights.
        head_lr: learning rate of the head phase; null takes the optimizer's.
    """

    main_phase: str

    def __init__(
        self,
        statistics: Statistics = "update",
        momentum: float | None = None,
        lr: Rates = None,
        head_epochs: int = 0,
        head_early_stop: bool = False,
        head_lr: float | None = None,
    ) -> None:
        super().__init__()
        if head_epochs < 0:
            raise UserError(f"head_epochs must be 0 or more, not {head_epochs}.")
        self.statistics: Statistics = statistics
        self.momentum = momentum
        self.lr = rates(lr)
        self.head_epochs = head_epochs
        self.head_early_stop = head_early_stop
        self.head_lr = rates(head_lr)

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """Names of the parameters that train in the main phase."""
        raise NotImplementedError

    def new(self, parts: NetworkParts) -> tuple[str, ...]:
        """Names of the parameters that train in both phases, as nothing was carried over to them."""
        return parts.new

    def factors(self, parts: NetworkParts) -> dict[str, float]:
        """Parameter names to factors on their rate in the main phase; none unless a strategy has some."""
        return {}

    def still(self, parts: NetworkParts) -> frozenset[str]:
        """Names of the tensors in stages that the main phase leaves alone; none unless a strategy has some."""
        return frozenset()

    def select(self, parts: NetworkParts) -> list[Phase]:
        """An optional head phase, then the main phase."""
        main = Phase(
            self.main_phase,
            self.trainable(parts),
            self.statistics,
            self.momentum,
            self.lr,
            factors=self.factors(parts),
            still=self.still(parts),
        )
        if not self.head_epochs:
            return [main]
        if not parts.head:
            raise UserError("This backbone has no head to train first.\nSet head_epochs to 0.")
        head_statistics: Statistics = "frozen" if self.statistics == "update" else self.statistics
        head = Phase(
            "head",
            self.new(parts),
            head_statistics,
            lr=self.head_lr,
            epochs=self.head_epochs,
            early_stop=self.head_early_stop,
        )
        return [head, main]
