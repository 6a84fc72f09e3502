"""Parallel adapters."""

from typing import Any

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.bottleneck import Bottleneck, is_pointwise
from transfusion_cli.models.layer_kinds import adaptable, mlps
from transfusion_cli.strategies.adapting import AdaptingStrategy


class AdaptFormer(AdaptingStrategy):
    """Train a narrow branch beside each MLP, and the head (Chen et al. 2022, arXiv:2205.13535).

    An MLP of x gives ``MLP(x) + scale · (W_up relu(W_down x + b_down) + b_up)``, the formula of the paper, where x is
    the normalised input that both share. For networks with MLPs: ViTs, Swins, ConvNeXts. The branch is not linear, so
    that it cannot be merged; it is part of the network from then on.

    Cost: about 2 · width / (2 · 4 · channels) of the MLPs, 2 % for the width 64 in a ViT-B, in training and after.

    Args:
        width: outputs of the narrow layer.
        scale: factor of the branches.
        kwargs: as for ``PhasedStrategy``.
    """

    def __init__(self, width: int = 64, scale: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if width < 1:
            raise UserError(f"width of AdaptFormer must be 1 or more, not {width}.\nTry --model.transfer.width 64")
        self.width, self.scale = width, scale

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put a branch beside each MLP.

        Raises:
            UserError: there is none.
        """
        modules = adaptable(network, pretrained)
        chosen = [modules[name] for name in mlps(network) if name in modules and is_pointwise(modules[name])]
        if not chosen:
            raise UserError(
                f"AdaptFormer needs a backbone with MLPs (ViT, Swin, ConvNeXt), and this {type(network).__name__} has "
                "none.\nTry --model.transfer LoRA --model.transfer.targets '[convolution]'."
            )
        for mlp in chosen:
            Bottleneck(mlp, self.width, self.scale).attach(mlp)

    def finalize(self, network: nn.Module) -> None:
        """Refuse, as the network cannot be an ordinary one again.

        Raises:
            UserError: always.
        """
        raise UserError(
            "The branches of AdaptFormer cannot be merged into the weights: the network stays one of this program.\n"
            "Keep the run's checkpoint or delta, or train with LoRA or SSF, which merge."
        )
