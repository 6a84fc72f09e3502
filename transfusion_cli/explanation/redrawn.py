"""A network whose weights are drawn anew, from the classifier down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from transfusion_cli.models.facts import head_names, in_head
from transfusion_cli.models.stages import HEAD, stage_of_tensors

LEVELS = ("head", "last_stage", "all")
"""How far down the cascade of Adebayo et al. goes; each level has what was drawn before."""


class Redrawn:
    """The cascading randomisation of Adebayo et al. 2018 (arXiv:1810.03292), undone afterwards to the last bit.

    Weights are drawn from a normal distribution around zero, as large (by their root mean square) as those whose place
    they take; what is one number a channel, scale, shift and running statistics, is dealt out anew among the channels.
    So nothing that was learned is left but how large values are, and activations neither vanish nor grow, which would
    change a map for a reason of its own.

    Args:
        network: any network; its stages are those of ``models/stages.py``.
    """

    def __init__(self, network: nn.Module) -> None:
        stage_of = stage_of_tensors(network)
        every = chain(network.named_parameters(), network.named_buffers())
        self.tensors = {name: value.detach() for name, value in every if name in stage_of and value.is_floating_point()}
        heads = head_names(network)
        head = [name for name in self.tensors if stage_of[name] == HEAD or in_head(name, heads)]
        body = [name for name in stage_of if name in self.tensors and name not in head]
        last = [name for name in body if stage_of[name] == stage_of[body[-1]]]
        self.levels: dict[str, list[str]] = dict(zip(LEVELS, (head, head + last, head + body), strict=True))

    @contextmanager
    def drawn(self, level: str, seed: int) -> Iterator[None]:
        """Draw down to a level; everything is as it was behind the block.

        Args:
            level: of ``LEVELS``.
            seed: of the draw. A tensor that two levels have in common is drawn alike in both.
        """
        kept = {name: self.tensors[name].clone() for name in self.levels[level]}
        try:
            for name in kept:
                self._draw(name, seed)
            yield
        finally:
            for name, value in kept.items():
                self.tensors[name].copy_(value)

    def _draw(self, name: str, seed: int) -> None:
        tensor = self.tensors[name]
        number = list(self.tensors).index(name)
        generator = torch.Generator().manual_seed(1_000_003 * seed + number)
        if tensor.ndim > 1:
            size = tensor.square().mean().sqrt()
            tensor.copy_(size * torch.randn(tensor.shape, generator=generator).to(tensor))
        else:  # variances must stay positive
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
