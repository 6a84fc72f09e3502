"""Activations of named layers."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import first_convolution, head_names
from transfusion_cli.suggest import did_you_mean

POOLED = "pooled"
"""Name of what the classifier is given: the features after global pooling."""


class Activation(NamedTuple):
    """What a layer said about a batch of B images.

    Args:
        points: (B k, C), k positions of each image; (B, C) where the layer has no map.
        pooled: (B, C), the mean over all positions.
        size: height and width of the map, or the number of tokens; empty without a map.
    """

    points: Tensor
    pooled: Tensor
    size: tuple[int, ...]


class Taps:
    """Reads layers while a network runs; the hooks are there within ``with`` alone.

    Activations are sampled and pooled inside the hook: what follows may write over them in place, and whole maps are
    never kept. The k positions of an image depend on the seed, the number of the batch and the size of the map alone:
    they are the same in another network. A layer that runs several times in one forward pass is
    read at its last.

    Args:
        network: the network.
        layers: module names, and ``pooled`` for the classifier's input.
        positions: positions k of each image and map, drawn without replacement; all of them where a map has fewer.
        seed: seed of the positions.
        batch: number of the batch.
    """

    def __init__(
        self, network: nn.Module, layers: Sequence[str], positions: int = 16, seed: int = 0, batch: int = 0
    ) -> None:
        self.network, self.layers = network, tuple(layers)
        self.positions, self.seed, self.batch = positions, seed, batch
        self._channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        self._handles: list[Any] = []
        self._seen: dict[str, Activation] = {}

    def __enter__(self) -> Self:
        try:
            for layer in self.layers:
                self._handles.append(self._hook(layer))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def take(self) -> dict[str, Activation]:
        """What the latest forward pass said, by layer, in the order asked for.

        Raises:
            UserError: a layer did not run.
        """
        if missing := [layer for layer in self.layers if layer not in self._seen]:
            raise UserError(f"The layer {missing[0]} did not run in the forward pass.\nChoose others by --layers.")
        seen, self._seen = self._seen, {}
        return {layer: seen[layer] for layer in self.layers}

    def _hook(self, layer: str) -> Any:
        if layer != POOLED:
            module = self.network.get_submodule(layer)
            return module.register_forward_hook(lambda _, inputs, output: self._see(layer, output))
        head = self.network.get_submodule(head_names(self.network)[0])
        return head.register_forward_pre_hook(lambda _, inputs: self._see(layer, inputs[0]))

    def _see(self, layer: str, output: Any) -> None:
        values = next((part for part in _flat(output) if isinstance(part, Tensor)), None)
        if values is None or values.ndim < 2:
            raise UserError(f"The layer {layer} gives no activations of neurons.\nChoose others by --layers.")
        self._seen[layer] = self._reduce(values.detach())

    def _reduce(self, values: Tensor) -> Activation:
        if values.ndim == 2:
            return Activation(values.clone(), values.clone(), ())
        # To (B, positions, C). Tokens come as (B, N, C), maps of some transformers as (B, H, W, C).
        last = values.ndim == 3 or self._channels_last
        size = tuple(values.shape[1:-1] if last else values.shape[2:])
        rows = values.flatten(1, -2) if last else values.flatten(2).transpose(1, 2)
        pooled, count = rows.mean(dim=1), rows.shape[1]
        if count > self.positions:
            draws = torch.Generator().manual_seed(abs(hash((self.seed, self.batch, *size))))
            chosen = torch.rand(len(rows), count, generator=draws).topk(self.positions).indices.to(rows.device)
            rows = rows.gather(1, chosen[:, :, None].expand(-1, -1, rows.shape[2]))
        return Activation(rows.reshape(-1, rows.shape[-1]).clone(), pooled, size)


def default_layers(network: nn.Module) -> list[str]:
    """First convolution, timm's stages (``feature_info``), and the pooled features before the classifier."""
    modules = dict(network.named_modules())
    info: Any = getattr(network, "feature_info", None) or []
    names = [entry["module"] for entry in getattr(info, "info", info)]
    with suppress(UserError):  # several, or none: the stages will do
        names.insert(0, first_convolution(network)[0])
    found = [name for name in dict.fromkeys(names) if name in modules]
    return [*found, *([POOLED] if head_names(network) else [])]


def matching_layers(network: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Layers by glob patterns on module names, in the order of the network.

    ``*`` stops at dots, ``**`` does not: ``layer*`` are the stages of a ResNet, ``layer1.**`` all within the first.

    Raises:
        UserError: a pattern fits nothing.
    """
    names = [name for name, _ in network.named_modules() if name] + ([POOLED] if head_names(network) else [])
    found: set[str] = set()
    for pattern in patterns:
        parts = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
        regex = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", pattern))
        fits = [name for name in names if re.fullmatch(regex, name)]
        if not fits:
            raise UserError(f"--layers {pattern}: the network has no such module.\n{did_you_mean(pattern, names)}")
        found.update(fits)
    return [name for name in names if name in found]


def _flat(output: Any) -> Iterable[Any]:
    return output if isinstance(output, (tuple, list)) else [output]
