"""Fitting the tensors of a foreign file to a network: prefixes, names, input channels, head."""

import inspect
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field

from timm.models import adapt_input_conv, get_model_traits, model_entrypoint
from torch import Tensor, nn

from transfusion_cli.models.facts import classifier_names, head_names, in_head
from transfusion_cli.models.volumes.inflate import Inflation, inflate

Tensors = dict[str, Tensor]

PREFIXES = (
    *("module.", "_orig_mod.", "model.", "network.", "backbone.", "encoder.", "net.", "base_model.", "trunk.", "body."),
    *("encoder_q.", "online_encoder.", "student.", "teacher.", "visual."),
)
"""What wrappers, trainers and self-supervised methods put before a backbone's names; any number of them, nested."""

FILTERS = ("checkpoint_filter_fn", "_filter_torchvision_pretrained", "_filter_fn")
"""What timm's model families call the function that renames foreign checkpoints to their own names."""


@dataclass(frozen=True)
class Match:
    """The outcome of :func:`match`; ``tensors`` are ready for ``load_state_dict(strict=False)``.

    ``foreign`` are those of the ``unexpected`` names that tell of another architecture: weights for a part that the
    network has too, such as ``layer1.3.conv1.weight`` beside its ``layer1``. The rest belong to something else: a
    projector, a momentum encoder, a decoder, a loss. ``inflated`` if kernels of images entered a network for volumes.
    ``classifier`` are the tensors of ``head``, the source's own.
    """

    tensors: Tensors
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shape_mismatch: tuple[str, ...]
    head: tuple[str, ...]
    adapted: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    inflated: bool = False
    classifier: Tensors = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the weights are those of this architecture, no tensor more and none less."""
        return bool(self.tensors) and not (self.missing or self.shape_mismatch or self.foreign)


def match(network: nn.Module, architecture: str, source: Tensors, inflation: Inflation = "centre") -> Match:
    """Find the reading of ``source`` under which most of its tensors fit the network, and what does not fit.

    The head is left out whatever its shape: a transferred network starts with a fresh one.
    """
    rename = _family_filter(network, architecture)
    matches = (
        _compare(network, reading, outside, inflation)
        for below, outside in stripped(source)
        for reading in _named(network, below, rename)
    )
    return max(matches, key=lambda match: len(match.tensors))


def stripped(tensors: Tensors, outside: tuple[str, ...] = ()) -> Iterator[tuple[Tensors, tuple[str, ...]]]:
    """The tensors as they are, then below every known prefix, recursively; and the names outside that prefix."""
    yield tensors, outside
    for prefix in PREFIXES:
        below = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if below:
            yield from stripped(below, (*outside, *(name for name in tensors if not name.startswith(prefix))))


def _named(network: nn.Module, tensors: Tensors, rename: Callable[[Tensors], Tensors] | None) -> Iterator[Tensors]:
    if rename is not None:
        # a filter that meets names or shapes of another family fails: then there is no such reading; some print why
        failures = suppress(AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
        with failures, redirect_stdout(io.StringIO()):
            yield rename(dict(tensors))
    yield tensors
    children = [name for name, _ in network.named_children()]
    positions = {name: name.partition(".") for name in tensors}
    if all(first.isdecimal() and int(first) < len(children) for first, _, _ in positions.values()):
        # nn.Sequential(*network.children()), a common way to cut off a head, numbers the children
        yield {f"{children[int(first)]}.{rest}": tensors[name] for name, (first, _, rest) in positions.items()}


def _family_filter(network: nn.Module, architecture: str) -> Callable[[Tensors], Tensors] | None:
    module = sys.modules[model_entrypoint(architecture).__module__]
    function = next((getattr(module, name) for name in FILTERS if hasattr(module, name)), None)
    if function is None:
        return None
    takes_model = len(inspect.signature(function).parameters) > 1
    return lambda tensors: function(tensors, network) if takes_model else function(tensors)


def _compare(network: nn.Module, source: Tensors, outside: tuple[str, ...], inflation: Inflation) -> Match:
    target, heads = network.state_dict(), head_names(network)
    source, adapted = _adapt_input(network, source)
    flat = [name for name, tensor in source.items() if tensor.ndim == 4 and name in target and target[name].ndim == 5]
    source = source | {name: inflate(source[name], target[name].shape[2], inflation) for name in flat}
    head = tuple(name for name in source if in_head(name, heads))
    body = {name: tensor for name, tensor in source.items() if name not in head}
    fitting = {name: value for name, value in body.items() if name in target and value.shape == target[name].shape}
    left_over = {name: tensor for name, tensor in body.items() if name not in target}
    # of the head's own part nothing can be said: many train with another head there
    parts = {_part(name) for name in target} - {_part(name) for name in classifier_names(network)}
    return Match(
        tensors=fitting,
        # old files lack the count of batches, which carries nothing that was learnt
        missing=tuple(n for n in target if n not in body and not in_head(n, heads) and "num_batches_tracked" not in n),
        unexpected=(*left_over, *outside),
        shape_mismatch=tuple(
            f"{name} {tuple(body[name].shape)} is not {tuple(target[name].shape)}"
            for name in body
            if name in target and name not in fitting
        ),
        head=head,
        adapted=adapted,
        foreign=tuple(name for name, tensor in left_over.items() if _part(name) in parts and _is_weight(tensor)),
        inflated=bool(flat),
        classifier={name: source[name] for name in head},
    )


def _part(name: str) -> str:
    """The part of a network that a tensor lies in, numbered parts being of one kind: ``layer4.0.bn1.bias``, layer*."""
    return re.sub(r"\d+", "*", name.partition(".")[0])


def _is_weight(tensor: Tensor) -> bool:
    """Whether it was learnt; an index, a mask or a single number (a counter, a gauge) was not."""
    return tensor.is_floating_point() and tensor.numel() > 1


def _adapt_input(network: nn.Module, source: Tensors) -> tuple[Tensors, tuple[str, ...]]:
    """Convert the first convolution to the network's input channels by timm's rule (sum for one, else repeat)."""
    traits, adapted = get_model_traits(network), {}
    first = traits.get("first_conv") or ()
    for name in (first,) if isinstance(first, str) else first:
        weight, target = source.get(f"{name}.weight"), network.state_dict().get(f"{name}.weight")
        if weight is None or target is None or weight.ndim not in (4, 5) or weight.shape[1] == target.shape[1]:
            continue
        # stems may see several copies of each channel (space to depth), hence the ratio
        channels = weight.shape[1] * traits["in_chans"] // target.shape[1]
        try:
            flat = adapt_input_conv(traits["in_chans"], weight.flatten(2).unsqueeze(2), base_chans=channels)
            adapted[f"{name}.weight"] = flat.reshape(len(weight), -1, *weight.shape[2:])
        except (NotImplementedError, ValueError):
            continue  # stays a shape mismatch
    return source | adapted, tuple(adapted)
