"""Trained tokens among those of an image (visual prompt tuning, Jia et al. 2022, arXiv:2203.12119)."""

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from transfusion_cli.models.adapter import Adapter


class Prompts(Adapter):
    """Tokens that are put behind the class and register tokens before a block, and taken away after one.

    So what follows sees as many tokens as ever, and pooling is over those of the image. Their order means nothing to
    attention; rotary position embeddings are for the tokens of the image alone.

    Args:
        number: of tokens.
        width: of each.
        behind: tokens that stand before them.
        patch: pixels of a patch, with all channels; sets the bound of the uniform numbers that they start from.
    """

    def __init__(self, number: int, width: int, behind: int, patch: int) -> None:
        super().__init__()
        self.behind = behind
        bound = math.sqrt(6 / (patch + width))
        self.tokens = nn.Parameter(torch.empty(number, width).uniform_(-bound, bound))

    def attach(self, host: nn.Module, *following: nn.Module) -> Self:
        """Become a child of ``host``; they stay for the blocks ``following`` too, which are in their order."""
        super().attach(host)
        if following:
            self.hooks.pop().remove()
            self.hooks.append(following[-1].register_forward_hook(self.after))
        module: Any
        for module in (each for block in (host, *following) for each in block.modules()):
            if hasattr(module, "num_prefix_tokens"):  # that are not rotated
                module.num_prefix_tokens += len(self.tokens)
        return self

    def before(self, host: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """The tokens (B, N, C) with the prompts among them."""
        x, *others = inputs
        prompts = self.tokens.to(x.dtype).expand(
            x.shape[0], -1, -1
        )  # len(x) would be recorded as a constant by an export
        return torch.cat([x[:, : self.behind], prompts, x[:, self.behind :]], dim=1), *others

    def after(self, host: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
        """The tokens without them."""
        return torch.cat([output[:, : self.behind], output[:, self.behind + len(self.tokens) :]], dim=1)
