"""A network's parameters and layers, sorted by the part they play in transfer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from torch import Tensor, nn

from transfusion_cli.models.adapter import Adapter
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.facts import decoder_names, head_names, in_head
from transfusion_cli.models.norms import norm_layers
from transfusion_cli.models.stages import layers, stages


@dataclass(frozen=True)
class NetworkParts:
    """What a strategy chooses from: parameter names in network order, and the BatchNorm layers.

    Args:
        names: every parameter that the outputs depend on.
        head: parameters of the classifier.
        scale: BatchNorm scales (gamma) outside the head, and outside what is new of the decoder. A strategy may count
            others among them (see ``TransferStrategy.regroup``).
        shift: BatchNorm shifts (beta) there.
        batch_norm: module names of all BatchNorm layers.
        flat: one-dimensional parameters (every scale, shift and bias): kept free of weight decay.
        fresh: those of ``batch_norm`` whose statistics did not come from the source.
        decoder: parameters of the decoder; none in a classifier.
        new: what trains under every strategy: the head, and the layers of the decoder that did not come from the
            source.
        norms: module names of all normalisation layers, BatchNorm and others.
        adapters: parameters that a strategy put beside those of the architecture.
        carried: parameters that came from the source unchanged.
        network: the network itself, asked for stages and layers where a strategy wants to know.
    """

    names: tuple[str, ...]
    head: tuple[str, ...]
    scale: tuple[str, ...]
    shift: tuple[str, ...]
    batch_norm: tuple[str, ...]
    flat: frozenset[str]
    fresh: frozenset[str] = frozenset()
    decoder: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    carried: frozenset[str] = frozenset()
    network: nn.Module = field(default_factory=nn.Identity, repr=False, compare=False)

    @classmethod
    def of(cls, network: nn.Module, carried: Collection[Tensor] | None = None) -> Self:
        """Sort the parameters of a network.

        Args:
            network: after any adaptation of its layers.
            carried: the parameters and buffers that came from the source; all of them where it is None.
        """
        unused: Collection[str] = getattr(network, "unused", ())
        heads, decoders = head_names(network), decoder_names(network)
        shapes = {name: parameter.ndim for name, parameter in network.named_parameters() if name not in unused}
        head = tuple(name for name in shapes if in_head(name, heads))
        decoder = tuple(name for name in shapes if in_head(name, decoders))
        kept = None if carried is None else {id(tensor) for tensor in carried}
        added = _of_adapters(network)
        new = {*head, *(_of_new_layers(network, kept) & set(decoder))}
        found = {name: layer for name, layer in batch_norm_layers(network).items() if f"{name}.weight" not in unused}
        parts = cls(
            names=tuple(shapes),
            head=head,
            scale=(),
            shift=(),
            batch_norm=tuple(found),
            flat=frozenset(name for name, ndim in shapes.items() if ndim <= 1),
            fresh=frozenset(
                name for name, layer in found.items() if kept is not None and id(layer.running_mean) not in kept
            ),
            decoder=decoder,
            new=tuple(name for name in shapes if name in new),
            norms=tuple(norm_layers(network)),
            adapters=tuple(name for name in shapes if name in added),
            carried=frozenset(
                name
                for name, parameter in network.named_parameters()
                if name in shapes and (name not in new | added if kept is None else id(parameter) in kept)
            ),
            network=network,
        )
        return parts.with_affine(found)

    def with_affine(self, layers: Iterable[str]) -> Self:
        """These parts with the scales and shifts of ``layers``, normalisations by module name, as the only ones."""
        outside = set(self.names) - set(self.new)
        scale, shift = (
            tuple(name for layer in layers if (name := f"{layer}.{ending}") in outside) for ending in ("weight", "bias")
        )
        return replace(self, scale=scale, shift=shift)

    @cached_property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """Stage to its tensors, from the input on; the head is in none; see ``models.stages``."""
        return stages(self.network)

    @cached_property
    def layers(self) -> dict[str, int]:
        """Parameter to the number of its layer, from the input on; see ``models.stages``."""
        return layers(self.network)

    @cached_property
    def _group_of(self) -> dict[str, str]:
        groups = dict.fromkeys(self.names, "rest")
        groups |= dict.fromkeys(self.decoder, "decoder")
        groups |= dict.fromkeys(self.scale + self.shift, "scale_and_shift")
        groups |= dict.fromkeys(self.adapters, "adapter")
        groups |= dict.fromkeys(self.head, "head")
        return groups

    def group_of(self, name: str) -> str:
        """The group a parameter learns in: ``head``, ``decoder``, ``scale_and_shift``, ``adapter`` or ``rest``.

        What is carried over of a decoder has its scales and shifts among those of the encoder.
        """
        return self._group_of[name]

    def in_order(self, *names: str) -> tuple[str, ...]:
        """The given parameter names, once each, in network order."""
        wanted = set(names)
        return tuple(name for name in self.names if name in wanted)


def _of_adapters(network: nn.Module) -> frozenset[str]:
    adapters = {name: module for name, module in network.named_modules() if isinstance(module, Adapter)}
    return frozenset(f"{name}.{own}" for name, module in adapters.items() for own, _ in module.named_parameters())


def _of_new_layers(network: nn.Module, kept: Collection[int] | None) -> frozenset[str]:
    """Names of all parameters in layers of which one did not come from the source."""
    return frozenset(
        f"{name}.{own}"
        for name, layer in network.named_modules()
        for own, _ in layer.named_parameters(recurse=False)
        if kept is not None and any(id(parameter) not in kept for parameter in layer.parameters(recurse=False))
    )
