"""How much each channel of a source network matters for the target."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.models.facts import head_names
from transfusion_cli.models.watch import Watch

logger = logging.getLogger(__name__)

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Images and targets of the training set, in the same batches each time."""

BATCH = 32
"""Images in a batch."""

SOFTNESS = 5.0
"""What standardised increases are divided by before the softmax."""


def channel_attention(
    source: nn.Module,
    layers: Sequence[str],
    batches: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    outputs: int,
    *,
    epochs: int,
    limit: int,
    seed: int,
) -> dict[str, Tensor]:
    """Attention of DELTA (Li et al. 2019, section 3.2): a channel matters as far as the loss grows without it.

    A linear classifier is trained on the frozen features of the source; then channels are set to zero, one at a time.
    The mean increase of the loss, standardised over the layer's channels, is divided by 5 and goes through a softmax.

    Args:
        source: network in evaluation mode, which stays as it is.
        layers: names of the layers; of convolutions channels are the second axis, of linear layers the last.
        batches: of the training set.
        loss: mean loss of logits and targets.
        outputs: logits of the classifier.
        epochs: of its training, by SGD with Nesterov momentum at a rate of 0.01, a tenth after six epochs.
        limit: batches that the increase is measured on.
        seed: of the classifier's draws.

    Returns:
        (C,) for each layer, with the sum 1.
    """
    head = head_names(source)[0]
    watch = Watch(source, [head], training=False, inputs=True)
    increases = {name: torch.zeros(0) for name in layers}
    try:
        with torch.no_grad():
            found = [(_features(source, watch, images, head), target) for images, target in batches()]
            classifier = _classifier(found, loss, outputs, epochs, seed)

            def loss_of(images: Tensor, target: Tensor) -> Tensor:
                return loss(classifier(_features(source, watch, images, head)), target)

            for count, (images, target) in enumerate(islice(batches(), limit), start=1):
                whole = loss_of(images, target)
                for name in layers:
                    more = torch.stack([without() for without in _ablations(source, name, images, target, loss_of)])
                    so_far = increases[name] if count > 1 else torch.zeros_like(more)
                    increases[name] = so_far + (more - whole - so_far) / count
                logger.info("Attention of DELTA: batch %d measured", count)
    finally:
        watch.close()
    return {name: _attention(increase) for name, increase in increases.items()}


def _attention(increase: Tensor) -> Tensor:
    spread = increase.std(correction=0)
    return ((increase - increase.mean()) / spread.clamp_min(torch.finfo(spread.dtype).tiny) / SOFTNESS).softmax(dim=0)


def _features(source: nn.Module, watch: Watch, images: Tensor, head: str) -> Tensor:
    source(images)
    return watch.take()[head]


def _ablations(
    source: nn.Module, name: str, images: Tensor, target: Tensor, loss_of: Callable[[Tensor, Tensor], Tensor]
) -> Iterable[Callable[[], Tensor]]:
    """For each channel of a layer, what gives the loss without it."""
    layer: Any = source.get_submodule(name)
    axis, channels = (-1, layer.out_features) if isinstance(layer, nn.Linear) else (1, layer.out_channels)

    def without(channel: int) -> Tensor:
        def silence(_: nn.Module, __: object, output: Tensor) -> Tensor:
            return output.index_fill(axis, torch.tensor([channel], device=output.device), 0)

        handle = layer.register_forward_hook(silence)
        try:
            return loss_of(images, target)
        finally:
            handle.remove()

    return (lambda channel=channel: without(channel) for channel in range(channels))  # type: ignore[misc]


def _classifier(
    batches: list[tuple[Tensor, Tensor]], loss: Callable[[Tensor, Tensor], Tensor], outputs: int, epochs: int, seed: int
) -> nn.Linear:
    """A linear classifier of features."""
    features = batches[0][0]
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        classifier = nn.Linear(features.shape[1], outputs).to(features)
        optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01, momentum=0.9, nesterov=True)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=math.exp(math.log(0.1) / 6))
        for _ in range(epochs):
            for number in torch.randperm(len(batches)).tolist():
                value = loss(classifier(batches[number][0]), batches[number][1])
                if value.isfinite():  # no label of the batch may be known
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
            schedule.step()
    return classifier.requires_grad_(False)
