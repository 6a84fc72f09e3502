"""Visual prompt tuning."""

from typing import Any

from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import input_size
from transfusion_cli.models.prompts import Prompts
from transfusion_cli.strategies.adapting import AdaptingStrategy


class VisualPromptTuning(AdaptingStrategy):
    """Train tokens that are put among those of the image, and the head (Jia et al. 2022, arXiv:2203.12119).

    For timm's ViTs, those with rotary embeddings (DINOv3, EVA) among them. Pooling is over the image's own tokens.
    Prompts cannot be merged; they are part of the network from then on.

    Cost: attention over that many more tokens, in training and after.

    Args:
        tokens: prompts, in each block where they are deep.
        deep: give each block prompts of its own, in place of what became of those of the block before; else the
            first block's go through all of them.
        kwargs: as for ``PhasedStrategy``.
    """

    def __init__(self, tokens: int = 10, deep: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if tokens < 1:
            raise UserError(
                f"tokens of VisualPromptTuning must be 1 or more, not {tokens}.\nTry --model.transfer.tokens 10"
            )
        self.tokens, self.deep = tokens, deep

    def adapt(self, network: Any, pretrained: frozenset[str]) -> None:
        """Put prompts before the first block, or before each.

        Raises:
            UserError: the network is no ViT.
        """
        if not isinstance(network, VisionTransformer | Eva):
            raise UserError(
                f"VisualPromptTuning is for the ViTs of timm (vit_*, deit_*, eva02_*), not for a "
                f"{type(network).__name__}.\nTry --model.transfer LoRA, SSF or NormAffine."
            )
        blocks = list(network.blocks)
        rows, columns = network.patch_embed.patch_size
        patch = input_size(network)[0] * rows * columns
        for number, block in enumerate(blocks if self.deep else blocks[:1]):
            prompts = Prompts(self.tokens, network.embed_dim, network.num_prefix_tokens, patch)
            prompts.attach(block, *([] if self.deep else blocks[number + 1 :]))

    def finalize(self, network: nn.Module) -> None:
        """Refuse, as the network cannot be an ordinary one again.

        Raises:
            UserError: always.
        """
        raise UserError(
            "Prompts cannot be merged into the weights: the network stays one of this program.\n"
            "Keep the run's checkpoint or delta, or train with LoRA or SSF, which merge."
        )
