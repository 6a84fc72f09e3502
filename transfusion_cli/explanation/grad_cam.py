"""Class activation maps by gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError

FEWEST = 4
"""Cells that a map must have to tell places apart."""


class GradCAM:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, eq. 1 and 2) on the last feature map of a network of timm's.

    A channel counts by the mean over places of the derivative of a score by it; the map is what is positive of the sum
    of channels so weighted. Behind global average pooling and a linear classifier that is the class activation map of
    Zhou et al. 2016 divided by the number of places.

    * Convolutional networks, and transformers with stages: what ``forward_features`` gives.
    * Vision transformers: the tokens of the image that the last block takes in, before its norm, in their grid. What it
      gives out is too late: where the class token alone is classified, nothing depends on the others there.

    Captum and MONAI know the first of these alone: they take a token for a channel.

    Args:
        network: in evaluation mode. Gradients are taken by its feature map, so that no parameter needs one.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network
        if not all(hasattr(network, name) for name in ("forward_features", "forward_head")):
            raise self._unsuited("does not say what its features are")

    def __call__(self, images: Tensor, score: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w), nowhere negative and in no unit, and logits (B, K).

        Args:
            images: (B, C, H, W), normalised.
            score: what is explained, (B,) of logits (B, K).

        Raises:
            UserError: the network has no feature map, or a map of one or two cells.
        """
        with torch.enable_grad():
            features, logits, grid = self._through(images)
            (gradient,) = torch.autograd.grad(score(logits).sum(), features)
        channels, weights = grid(features.detach()), grid(gradient).mean(dim=(2, 3), keepdim=True)
        if channels[0, 0].numel() < FEWEST:
            (h, w), (rows, columns), name = images.shape[2:], channels.shape[2:], type(self.network).__name__
            raise UserError(
                f"A {name} makes a map of {rows} x {columns} cells of images of {h} x {w}: that shows no place.\n"
                f"Larger images give more cells: --data.image_size {4 * max(h, w)}"
            )
        return (weights * channels).sum(dim=1).relu(), logits.detach()

    def _through(self, images: Tensor) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """The feature map as a leaf, logits that depend on it, and what makes it (B, C, h, w)."""
        with torch.no_grad():
            found = self.network.forward_features(images)
        if isinstance(found, Tensor) and found.ndim == 4:
            last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"  # as timm calls it
            leaf = found.detach().requires_grad_()
            return leaf, self.network.forward_head(leaf), lambda x: x.permute(0, 3, 1, 2) if last else x
        blocks = getattr(self.network, "blocks", None)
        if not (isinstance(found, Tensor) and found.ndim == 3 and isinstance(blocks, nn.Sequential | nn.ModuleList)):
            raise self._unsuited("has no map of features at its end")
        tokens, logits = self._before(blocks[-1], images)
        rows, columns = self._sides(tokens, images)
        places = rows * columns  # the last ones: class, register and prompt tokens stand before those of the image
        return tokens, logits, lambda x: x[:, -places:].transpose(1, 2).unflatten(2, (rows, columns))

    def _before(self, block: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """What a block takes in, as a leaf, and the logits that depend on it."""
        taken: list[Tensor] = []

        def cut(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            taken.append(inputs[0].detach().requires_grad_())
            return taken[-1], *inputs[1:]

        hook = block.register_forward_pre_hook(cut, prepend=True)  # before prompts come in
        try:
            logits = self.network(images)
        finally:
            hook.remove()
        if len(taken) != 1 or taken[0].ndim != 3:
            raise self._unsuited("has no tokens before its last block")
        return taken[0], logits

    def _sides(self, tokens: Tensor, images: Tensor) -> tuple[int, int]:
        """Rows and columns of the grid that the tokens of the image stand in."""
        count = tokens.shape[1]
        embed: Any = getattr(self.network, "patch_embed", None) or getattr(self.network, "stem", None)
        if hasattr(embed, "dynamic_feat_size"):
            rows, columns = embed.dynamic_feat_size(tuple(images.shape[-2:]))
        else:  # without a grid of patches the order of tokens may be any, as in Hiera
            rows, columns = getattr(embed, "grid_size", None) or (0, 0)
        if not 0 < rows * columns <= count:
            raise self._unsuited(f"has {count} tokens at its end, which are not its patches")
        return int(rows), int(columns)

    def _unsuited(self, why: str) -> UserError:
        name = type(self.network).__name__
        return UserError(f"A {name} {why}: there is no class activation map of it.\nTry a backbone of another kind.")
