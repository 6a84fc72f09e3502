"""From the head downwards, stage by stage."""

from dataclasses import replace
from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.models.stages import named
from transfusion_cli.strategies.base import PhasedStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase


class GradualUnfreezing(PhasedStrategy):
    """Train the head, then the last stage with it, then the one before, until everything trains (Howard & Ruder 2018).

    Each step is a phase: its optimizer and its learning-rate schedule start afresh. Stages that wait are frozen wholly:
    weights, BatchNorm statistics, dropout. Epochs of the first steps cost less than those of full fine-tuning.

    Args:
        step_epochs: epochs of each step but the last, which goes on to the end of the run.
        steps: steps from the head to the input, several stages in each where they are fewer; null for one a stage. A
            ViT has a stage for each of its blocks.
        decay: factor on the learning rate from the head to the last stage, and from each stage to the one before it,
            over 0 and up to 1; 1 / 2.6 in the paper.
        head_epochs: epochs of the head alone, before the first step.
        kwargs: as for ``PhasedStrategy``; ``statistics`` and ``lr`` are for what trains in a step.

    Raises:
        UserError: epochs, steps or factor are no such numbers.
    """

    main_phase = "full"

    def __init__(
        self, step_epochs: int = 1, steps: int | None = None, decay: float = 1.0, head_epochs: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(head_epochs=head_epochs, **kwargs)
        if step_epochs < 1 or (steps is not None and steps < 1):
            raise UserError(f"step_epochs and steps must be 1 or more, not {step_epochs} and {steps}.")
        if not 0 < decay <= 1:
            raise UserError(f"decay is a factor over 0 and up to 1, not {decay}.\nTry --model.transfer.decay 0.38")
        self.step_epochs, self.steps, self.decay = step_epochs, steps, decay

    def trainable(self, parts: NetworkParts) -> tuple[str, ...]:
        """All parameters."""
        return parts.names

    def factors(self, parts: NetworkParts) -> dict[str, float]:
        """A power of ``decay`` for each stage below what is new."""
        waiting = enumerate(self._waiting(parts), start=1)
        return {name: self.decay**depth for depth, stage in waiting for name in parts.in_order(*_old(parts, [stage]))}

    def select(self, parts: NetworkParts) -> list[Phase]:
        """The head, a phase for each step, and the last one to the end."""
        *head, main = super().select(parts)
        waiting = self._waiting(parts)
        steps = min(self.steps or len(waiting), len(waiting))
        ends = [len(waiting) * step // steps for step in range(1, steps)]
        return [*head, *(self._step(main, parts, waiting[:end], waiting[end:]) for end in ends), main]

    def _waiting(self, parts: NetworkParts) -> list[str]:
        """Stages with anything that is not new, from the head downwards."""
        return [stage for stage in reversed(parts.stages) if parts.in_order(*_old(parts, [stage]))]

    def _step(self, main: Phase, parts: NetworkParts, train: list[str], wait: list[str]) -> Phase:
        return replace(
            main,
            name=f"from_{train[-1]}",
            trainable=parts.in_order(*parts.new, *named(parts.stages, train)),
            epochs=self.step_epochs,
            early_stop=False,
            still=_old(parts, wait),
        )


def _old(parts: NetworkParts, stages: list[str]) -> frozenset[str]:
    """Tensors of some stages, but for what is new."""
    return named(parts.stages, stages) - set(parts.new)
