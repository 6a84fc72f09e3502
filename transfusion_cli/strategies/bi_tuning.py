"""Contrast between the classes."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.models.full_precision import FullPrecision
from transfusion_cli.models.watch import Watch
from transfusion_cli.strategies.features import FeatureStrategy
from transfusion_cli.strategies.labels import check_classes, classes_of
from transfusion_cli.strategies.spread import gathered

PROJECTOR = "projector"
"""What the projector is called in the network."""


class BiTuning(FeatureStrategy):
    """Draw images towards keys of their class, in features and in a projection of them (Zhong et al. 2020).

    A slow copy of the network makes keys of the images; the latest of each class are kept. Adds ``weight`` times the
    divergence of a uniform distribution over the image's own key and those of its class from the softmax over all keys,
    twice, as a mean over the images: of the similarity of projections, and of the similarity between the class's row of
    the classifier, which gets no gradient, and features, the image's own and those of the keys. All vectors have length
    1; features have a 1 appended, for the bias. As in the authors' code but for three things: keys are made of the same
    view of an image, not of a second one; the slow copy runs in evaluation mode, on the network's running statistics,
    so that processes need not agree on more; and both similarities are to the keys from before the batch.

    Extra cost: in each step a forward pass of the slow copy, which is in memory and in checkpoints too, as are the
    keys: classes x ``keys`` x (features + ``width``) numbers.

    Args:
        weight: weight of both terms.
        keys: keys kept of each class.
        momentum: how much of itself the slow copy keeps in a step.
        temperature: what similarities are divided by.
        width: numbers in a projection.
    """

    def __init__(
        self,
        weight: float = 1.0,
        keys: int = 40,
        momentum: float = 0.999,
        temperature: float = 0.07,
        width: int = 128,
    ) -> None:
        super().__init__()
        if keys < 1:
            raise UserError(f"BiTuning keeps one key of each class at least, not {keys}.\nTry keys: 40")
        self.weight, self.keys, self.momentum, self.temperature, self.width = weight, keys, momentum, temperature, width
        self._kept: dict[str, Any] = {}
        self._slow: nn.Module | None = None
        self._slow_watch: Watch | None = None

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put a projector of the features beside the classifier."""
        head: Any = network.get_submodule(self.classifier(network))
        projector = nn.Linear(head.in_features, self.width)
        FullPrecision(projector)
        network.add_module(PROJECTOR, projector)

    def finalize(self, network: nn.Module) -> None:
        """Drop the projector."""
        delattr(network, PROJECTOR)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the slow copy and the first keys, at random, unless a checkpoint had them.

        Raises:
            UserError: images of the task may have several classes, or see ``FeatureStrategy``.
        """
        check_classes(pl_module, "BiTuning", ("binary", "multiclass"))
        self.on_fit_end(trainer, pl_module)
        network = pl_module.network
        head, like = self.classifier(network), next(network.parameters())
        self._slow = copy.deepcopy(network).eval().requires_grad_(False)
        if self._kept:
            self._slow.load_state_dict(self._kept["slow"])
        else:
            draws, classes = torch.Generator().manual_seed(pl_module.seed), len(pl_module.class_names)
            widths = {"features": network.get_submodule(head).in_features + 1, "projections": self.width}
            self._kept = {
                name: F.normalize(torch.randn(classes, self.keys, width, generator=draws), dim=2)
                for name, width in widths.items()
            }
            self._kept["next"] = torch.zeros(classes, dtype=torch.int64)
        for name, tensor in self._kept.items():
            if name != "slow":
                self._kept[name] = tensor.to(like.device) if name == "next" else tensor.to(like)
        self._kept["slow"] = self._slow.state_dict()
        super().on_fit_start(trainer, pl_module)
        self._slow_watch = Watch(self._slow, [head], training=False, inputs=True)

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """Both weighted contrasts; the batch's keys are kept afterwards."""
        features = self.features
        classes = classes_of(batch["target"])
        slow_features = self._follow(network, batch["image"])
        with torch.autocast(features.device.type, enabled=False):
            own, projected = _with_one(features), self._projected(network, features)
            slow_own, slow_projected = _with_one(slow_features), self._projected(self._slow, slow_features)
            towards = self._rows(network)[classes.clamp_min(0)]
            by_projection = (projected * slow_projected).sum(1), self._similar(projected, "projections")
            by_class = (own * towards).sum(1), self._similar(towards, "features")
            known = classes >= 0
            terms = [self._contrast(*pair, classes)[known].sum() / len(known) for pair in (by_projection, by_class)]
        self._keep(gathered(slow_own), gathered(slow_projected), gathered(classes))
        return self.weight * torch.stack(terms).sum()

    @torch.no_grad()
    def _follow(self, network: nn.Module, images: Tensor) -> Tensor:
        """Move the slow copy towards the network; its features (B, D)."""
        assert self._slow is not None and self._slow_watch is not None
        for slow, fast in zip(self._slow.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.momentum)
        for kept, buffer in zip(self._slow.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)
        self._slow(images)
        (features,) = self._slow_watch.take().values()
        return features

    def _projected(self, network: Any, features: Tensor) -> Tensor:
        return F.normalize(network.get_submodule(PROJECTOR)(features), dim=1)

    def _rows(self, network: nn.Module) -> Tensor:
        """The classifier's row of each class with its bias (classes, D + 1); of one logit, that of yes and its like."""
        head: Any = network.get_submodule(self.classifier(network))
        bias = torch.zeros_like(head.weight[:, 0]) if head.bias is None else head.bias
        rows = F.normalize(torch.cat([head.weight, bias[:, None]], dim=1).detach(), dim=1)
        return torch.cat([-rows, rows]) if len(rows) == 1 else rows

    def _similar(self, queries: Tensor, keys: str) -> Tensor:
        """Similarity to all keys (B, classes, keys)."""
        return torch.einsum("bd,ckd->bck", queries, self._kept[keys].clone())

    def _contrast(self, own: Tensor, others: Tensor, classes: Tensor) -> Tensor:
        """Divergence (B,) of the uniform distribution over keys of the class from the softmax over all keys."""
        logs = torch.cat([own[:, None], others.flatten(1)], dim=1).div(self.temperature).log_softmax(dim=1)
        of_class = logs[:, 1:].view_as(others)[torch.arange(len(classes)), classes.clamp_min(0)]
        good = torch.cat([logs[:, :1], of_class], dim=1)
        return -good.mean(dim=1) - math.log(good.shape[1])

    def _keep(self, features: Tensor, projections: Tensor, classes: Tensor) -> None:
        """Put the latest keys of each class in place of its oldest."""
        begin = self._kept["next"]
        for label in range(len(begin)):
            rows = torch.nonzero(classes == label).flatten()
            places = (begin[label] + torch.arange(len(rows), device=rows.device)) % self.keys
            rows, latest = rows[-self.keys :], places[-self.keys :]
            self._kept["features"][label, latest] = features[rows]
            self._kept["projections"][label, latest] = projections[rows]
            begin[label] = (begin[label] + len(places)) % self.keys

    def state_dict(self) -> dict[str, Any]:
        """The slow copy and the keys."""
        return self._kept

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take those of the run that goes on."""
        self._kept = dict(state_dict)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop watching."""
        super().on_fit_end(trainer, pl_module)
        if self._slow_watch is not None:
            self._slow_watch.close()
        self._slow_watch = None


def _with_one(features: Tensor) -> Tensor:
    """Features (B, D) with a 1, at length 1."""
    return F.normalize(torch.cat([features, torch.ones_like(features[:, :1])], dim=1), dim=1)
