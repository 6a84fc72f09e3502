"""Low-rank adaptation."""

from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.adapter import hosts
from transfusion_cli.models.layer_kinds import CONVOLUTIONS, KINDS, LINEAR, adaptable, kinds
from transfusion_cli.models.low_rank import LowRank
from transfusion_cli.strategies.adapting import AdaptingStrategy


class LoRA(AdaptingStrategy):
    """Train a low-rank update of chosen weights, and the head (Hu et al. 2021, arXiv:2106.09685).

    A weight W becomes W + alpha / rank · B A, with B starting at zero. A fused layer of queries, keys and values is
    one weight, with one pair of factors, as in peft; convolutions have A with their kernel and B of one pixel.
    Grouped convolutions are left out: their kernels have hardly a rank to lower, and so are those that standardise
    their weight. After training the updates go into the weights.

    Cost: about rank / width of each chosen layer, in time and in memory of activations.

    Args:
        rank: rank of the updates.
        alpha: scale of the updates, in multiples of 1 / rank; null takes ``rank``, the scale 1.
        targets: which layers: ``attention``, ``mlp``, ``convolution``, or names with wildcards (``blocks.1?.mlp.fc1``).
        kwargs: as for ``PhasedStrategy``.
    """

    def __init__(
        self, rank: int = 8, alpha: float | None = None, targets: list[str] | str = "attention", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if rank < 1:
            raise UserError(f"rank of LoRA must be 1 or more, not {rank}.\nTry --model.transfer.rank 8")
        self.rank, self.scale = rank, (rank if alpha is None else alpha) / rank
        self.targets = [targets] if isinstance(targets, str) else targets

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put the updates to the layers.

        Raises:
            UserError: a target names no layer that can have one.
        """
        kind, layers = kinds(network), adaptable(network, pretrained)
        layers = {name: layer for name, layer in layers.items() if _can_be_updated(layer)}
        chosen: dict[str, nn.Module] = {}
        for target in self.targets:
            found = {
                name: layer for name, layer in layers.items() if target == kind.get(name) or fnmatchcase(name, target)
            }
            if not found:
                known = ", ".join(each for each in KINDS if each in {kind.get(name) for name in layers})
                raise UserError(
                    f"LoRA finds no layer to update for the target {target!r} in this {type(network).__name__}.\n"
                    f"Try --model.transfer.targets '[{known}]', or names with wildcards."
                )
            chosen |= found
        for name in sorted(chosen):
            LowRank(chosen[name], self.rank, self.scale).attach(chosen[name])

    def finalize(self, network: nn.Module) -> None:
        """Put the updates into the weights."""
        for host, adapter in hosts(network):
            if isinstance(adapter, LowRank):
                adapter.merge(host)


def _can_be_updated(layer: Any) -> bool:
    return type(layer) in LINEAR or (type(layer) in CONVOLUTIONS and layer.groups == 1)
