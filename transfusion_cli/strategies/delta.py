"""Feature maps stay near those of the source."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import decoder_names
from transfusion_cli.models.stage_ends import stage_ends
from transfusion_cli.models.watch import Watch
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.channel_attention import BATCH, channel_attention

PUBLISHED_BATCH = 64
"""Images that the authors' code sums the term over, beside a mean loss: so strong is its ``alpha``."""


class DELTA(TransferStrategy):
    """Keep feature maps near the source's, channel by channel as it matters (DELTA, Li et al. 2019, arXiv:1901.09229).

    Adds ``alpha * 64`` times the mean over the images of ``1/2 sum_c a_c C |FM_c - FM0_c|^2 / positions``, summed over
    the layers, and ``beta / 2 |w_head|^2``. The authors' code sums over its batches of 64 images; here the term is as
    strong whatever the batch. The attention a of the C channels of a layer says how much the loss grows without each
    (see ``channel_attention``). It is computed once, on the training set, and kept with the source in checkpoints.
    Leave the optimizer's weight decay at 0.

    Extra cost: in each step a forward pass of the source, whose weights are in memory and in checkpoints too. Before
    the first step, a forward pass without each channel of the layers (3,840 in a ResNet-50) of each of ``batches``
    batches of 32 images; ``attention: false`` does without.

    Args:
        alpha: weight of the distance of feature maps.
        beta: weight of the head's parameters.
        layers: convolutions and linear layers to compare; null takes the last one of each stage.
        attention: weigh channels by what they do; false weighs them alike.
        epochs: training of the classifier that the attention is measured with.
        batches: batches that it is measured on.
    """

    def __init__(
        self,
        alpha: float = 0.01,
        beta: float = 0.01,
        layers: list[str] | None = None,
        attention: bool = True,
        epochs: int = 10,
        batches: int = 10,
    ) -> None:
        super().__init__()
        if min(epochs, batches) < 1:
            raise UserError("DELTA measures its attention in one epoch and one batch at least.\nTry attention: false")
        self.alpha, self.beta, self.layers, self.attention = alpha, beta, layers, attention
        self.epochs, self.batches = epochs, batches
        self.source: nn.Module
        self.weights: dict[str, Tensor] = {}
        self._head: tuple[str, ...] = ()
        self._watches: list[Watch] = []

    def meet(self, source: nn.Module, classes: int) -> None:
        """Keep the source, and choose the layers.

        Raises:
            UserError: it is no classifier, or its stages or the given layers are not known.
        """
        if decoder_names(source):
            raise UserError("DELTA is for networks that classify, and this one segments.\nTry --model.transfer L2SP")
        names = stage_ends(source) if self.layers is None else self.layers
        modules = dict(source.named_modules())
        wrong = [name for name in names if not isinstance(modules.get(name), nn.Conv2d | nn.Conv3d | nn.Linear)]
        if wrong or not names:
            what = f"no convolution or linear layer {wrong[0]}" if wrong else "no stages that timm knows"
            raise UserError(
                f"DELTA compares feature maps, and this {type(source).__name__} has {what}.\n"
                "Name layers of it: transfer.layers, such as [layer4.2.conv3]"
            )
        self.source, self._names = source, list(names)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch both networks."""
        self.on_fit_end(trainer, pl_module)
        like = next(pl_module.network.parameters())
        self.source.to(like)
        self.weights = {name: weight.to(like) for name, weight in self.weights.items()}
        self._head = pl_module.transferred.parts.head
        both = (pl_module.network, True), (self.source, False)
        self._watches = [Watch(network, self._names, training) for network, training in both]

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop watching."""
        for watch in self._watches:
            watch.close()
        self._watches = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Measure the attention, unless that was done."""
        if self.weights:
            return
        if not self.attention:
            self.weights = {name: self._alike(name) for name in self._names}
            return

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for batch in trainer.datamodule.whole_dataloader("train", BATCH):
                yield pl_module.normalise(batch["image"].to(pl_module.device)), batch["target"].to(pl_module.device)

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            known = target.to(logits.dtype) if target.is_floating_point() else target
            total, weight = pl_module.loss(logits, known)
            return total / weight  # type: ignore[no-any-return]

        options = {"epochs": self.epochs, "limit": self.batches, "seed": pl_module.seed}
        outputs = pl_module.num_outputs
        self.weights = channel_attention(self.source, self._names, batches, loss, outputs, **options)

    def regularize(self, network: nn.Module, batch: dict[str, Any], logits: Tensor) -> Tensor:
        """The weighted distance of the feature maps, and the head's decay."""
        with torch.no_grad():
            self.source(batch["image"])
        ours, theirs = (watch.take() for watch in self._watches)
        distance = torch.stack([self._distance(name, ours[name], theirs[name]) for name in self._names]).sum()
        parameters = dict(network.named_parameters())
        head = torch.stack([parameters[name].square().sum() for name in self._head]).sum() / 2
        return self.alpha * PUBLISHED_BATCH * distance + self.beta * head

    def _distance(self, name: str, ours: Tensor, theirs: Tensor) -> Tensor:
        """Of one layer, the mean over the images."""
        attention = self.weights[name]
        squares = (ours - theirs).to(attention.dtype).square()
        if isinstance(self.source.get_submodule(name), nn.Linear):
            squares = squares.movedim(-1, 1)
        by_channel = squares.flatten(2).mean(dim=2) if squares.ndim > 2 else squares
        return len(attention) * (by_channel @ attention).mean() / 2

    def _alike(self, name: str) -> Tensor:
        weight: Any = self.source.get_submodule(name).weight
        return torch.full_like(weight[:, 0].flatten(1)[:, 0] if weight.ndim > 2 else weight[:, 0], 1 / len(weight))

    def state_dict(self) -> dict[str, Any]:
        """The source and the attention."""
        return {"source": self.source.state_dict(), "attention": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take those of the run that goes on."""
        self.source.load_state_dict(state_dict["source"])
        self.weights = state_dict["attention"]
