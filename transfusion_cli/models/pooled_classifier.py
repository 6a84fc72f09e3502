"""What our own backbones share: global pooling, a linear classifier, and timm's way to both."""

from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
from timm.layers.classifier import create_classifier
from timm.models import register_model
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from transfusion_cli.models.facts import dimensions
from transfusion_cli.models.volumes.swap import in_three_dimensions


class PooledClassifier(nn.Module):
    """A network that pools its last feature map and classifies it by one linear layer, ``fc``.

    A subclass makes its layers and says ``feature_maps``; it calls ``add_classifier`` once it knows its width.

    Args:
        num_classes: outputs of ``fc``; 0 leaves it out.
        drop_rate: dropout before it.
    """

    feature_info: list[dict[str, Any]]

    def __init__(self, num_classes: int, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.num_classes, self.drop_rate = num_classes, drop_rate

    def add_classifier(self, width: int, global_pool: str, **factory: Any) -> None:
        """Make pooling and classifier for feature maps of ``width`` channels."""
        self.num_features = self.head_hidden_size = width
        self.global_pool, self.fc = create_classifier(width, self.num_classes, global_pool, **factory)
        if dimensions(self) == 3:
            in_three_dimensions(self.global_pool)

    def get_classifier(self, name_only: bool = False) -> str | nn.Module:
        """The classifier, or its name."""
        return "fc" if name_only else self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a fresh one (and the pooling, where given)."""
        self.num_classes = num_classes
        like = next(self.parameters())
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self.add_classifier(self.num_features, pool, device=like.device, dtype=like.dtype)
        for fresh in (self.global_pool, self.fc):
            fresh.train(self.training)

    def feature_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images (B, C, H, W) to the feature map of each stage, one after the other."""
        raise NotImplementedError

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to the last feature map."""
        *_, x = self.feature_maps(x)
        return x

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The last feature map, and those of the stages; the signature is timm's.

        Args:
            x: images (B, C, H, W).
            indices: stages to give the maps of, or how many of the last; None gives all.
            norm: not needed, every map is normalised.
            stop_early: leave out the stages after the last one asked for.
            output_fmt: ``NCHW``.
            intermediates_only: leave out the last feature map.
        """
        take, last = feature_take_indices(len(self.feature_info), indices)
        found = []
        for i, maps in enumerate(self.feature_maps(x)):
            x = maps
            if i in take:
                found.append(maps)
            if stop_early and i == last:
                break
        return found if intermediates_only else (x, found)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Feature map to logits (B, K), or to the pooled features."""
        x = F.dropout(self.global_pool(x), self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K)."""
        return self.forward_head(self.forward_features(x))


def register(name: str, make: Callable[..., nn.Module]) -> None:
    """Have timm make a network by ``make(name, pretrained, ...)``, in whose module ``default_cfgs`` tell of it."""

    def entrypoint(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return make(name, pretrained, **kwargs)

    entrypoint.__name__, entrypoint.__module__ = name, make.__module__
    register_model(entrypoint)
