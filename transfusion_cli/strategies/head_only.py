"""Only the classifier trains."""

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, Statistics, rates


class HeadOnly(TransferStrategy):
    """Train the classifier alone, on features that do not move (linear probe).

    With ``statistics: update`` the BatchNorm averages follow the new data while every weight stays: FC-BMA of
    Kanavati & Tsuneki (2021), who used a PyTorch momentum of 0.05.

    Args:
        statistics: what BatchNorm statistics do: ``frozen``, ``update`` or ``reestimate``. Layers that were not carried
            over always update, but for ``frozen_all``.
        momentum: BatchNorm momentum, PyTorch's sense; null keeps the layers' own.
        lr: learning rate of the head; null takes the optimizer's.
    """

    def __init__(
        self, statistics: Statistics = "frozen", momentum: float | None = None, lr: float | None = None
    ) -> None:
        super().__init__()
        self.statistics: Statistics = statistics
        self.momentum = momentum
        self.lr = rates(lr)

    def select(self, parts: NetworkParts) -> list[Phase]:
        """One phase that trains the head."""
        if not parts.head:
            raise UserError("This backbone has no head that HeadOnly could train.\nChoose another backbone.")
        return [Phase("head", parts.head, self.statistics, self.momentum, self.lr)]
