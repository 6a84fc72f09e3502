"""A network's parameters and layers, sorted by the part they play in transfer."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.facts import head_names


@dataclass(frozen=True)
class NetworkParts:
    """What a strategy chooses from: parameter names in network order, and the BatchNorm layers.

    Args:
        names: every parameter.
        head: parameters of the classifier.
        scale: BatchNorm scales (gamma) outside the head.
        shift: BatchNorm shifts (beta) outside the head.
        batch_norm: module names of all BatchNorm layers.
        flat: one-dimensional parameters (every scale, shift and bias): kept free of weight decay.
        fresh: those of ``batch_norm`` whose statistics did not come from the source.
    """

    names: tuple[str, ...]
    head: tuple[str, ...]
    scale: tuple[str, ...]
    shift: tuple[str, ...]
    batch_norm: tuple[str, ...]
    flat: frozenset[str]
    fresh: frozenset[str] = frozenset()

    @classmethod
    def of(cls, network: nn.Module, carried: Collection[nn.Module] | None = None) -> "NetworkParts":
        """Sort the parameters of a network.

        Args:
            network: after any adaptation of its layers.
            carried: the BatchNorm layers whose statistics came from the source; all of them where it is None.
        """
        shapes = {name: parameter.ndim for name, parameter in network.named_parameters()}
        prefixes = tuple(prefix + "." for prefix in head_names(network))
        head = tuple(name for name in shapes if name.startswith(prefixes)) if prefixes else ()
        found = batch_norm_layers(network)
        layers = tuple(found)
        kept = None if carried is None else {id(layer) for layer in carried}
        outside = [layer for layer in layers if not f"{layer}.".startswith(prefixes or ("\0",))]
        return cls(
            names=tuple(shapes),
            head=head,
            scale=tuple(f"{layer}.weight" for layer in outside if f"{layer}.weight" in shapes),
            shift=tuple(f"{layer}.bias" for layer in outside if f"{layer}.bias" in shapes),
            batch_norm=layers,
            flat=frozenset(name for name, ndim in shapes.items() if ndim <= 1),
            fresh=frozenset(name for name, layer in found.items() if kept is not None and id(layer) not in kept),
        )

    @cached_property
    def _group_of(self) -> dict[str, str]:
        groups = dict.fromkeys(self.names, "rest")
        groups |= dict.fromkeys(self.scale + self.shift, "scale_and_shift")
        groups |= dict.fromkeys(self.head, "head")
        return groups

    def group_of(self, name: str) -> str:
        """The group a parameter learns in: ``head``, ``scale_and_shift`` or ``rest``."""
        return self._group_of[name]

    def in_order(self, *names: str) -> tuple[str, ...]:
        """The given parameter names, once each, in network order."""
        wanted = set(names)
        return tuple(name for name in self.names if name in wanted)
