"""AC-Corr: how far source and target channels go together after a little AC-Norm fine-tuning (Zhang et al. 2023).

From the authors' code (github.com/EndoluminalSurgicalVision-IMR/ACNorm, get_ac_corr.py): the sum of all entries of the
sparse correlation C of a layer, averaged over layers; larger is better. It is no pure measure of transferability: with
no step at all it is ``baseline``, which knows the source alone and grows with the spread of its sensitivities, and any
drift of scale and shift raises it, so that learning rate, steps and the order of batches decide it too. All of these
are fixed here, kept with it, and told beside it.
"""

import copy
import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ACNorm, ac_norm_layers, convert_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.targets import Target, num_logits
from transfusion_cli.tasks.losses import ClassificationLoss
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.source import Source

EPOCH = "epoch"
"""In place of a number of steps."""

OPTIMIZER = torch.optim.Adam
"""That of a run which names none."""


@dataclass(frozen=True)
class Correlation:
    """AC-Corr of some layers.

    Args:
        value: sum of C, averaged over layers: what the authors call AC-Corr; 0 to the number of channels.
        per_channel: the same with each sum divided by the channels of its layer, so that widths may differ.
        baseline: ``value`` before any step.
        update: length of what the steps changed of all scales and shifts.
    """

    value: float
    per_channel: float
    baseline: float
    update: float


@dataclass(frozen=True)
class Training:
    """The fine-tuning before AC-Corr is read off, the same for all candidates.

    Args:
        steps: optimizer steps, or ``epoch``.
        lr: constant learning rate.
        seed: of the order of the images, the new head and dropout.
    """

    steps: int | str = 1
    lr: float = 1e-3
    seed: int = 0

    def facts(self, images: Images) -> dict[str, Any]:
        """All that decides the result beside the candidate."""
        order = order_of(self, images)
        return {**asdict(self), "optimizer": OPTIMIZER.__name__, "batch_size": len(order[0]), "taken": len(order)}


def ac_corr(source: Source, images: Images, target: Target, classes: int, how: Training, device: str) -> Correlation:
    """Fine-tune a copy of a candidate for some steps, with everything trained, and read AC-Corr off its layers.

    Args:
        source: the candidate.
        images: of the target.
        target: kind of target.
        classes: number of class or label names.
        how: the training.
        device: where.

    Raises:
        UserError: no BatchNorm layer has a pretrained scale and shift, or the training diverges.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        network = prepared(source.network, source.carried, num_logits(target, classes)).to(device)
        before = {name: layer_affine(layer) for name, layer in ac_norm_layers(network).items()}
        baseline, _ = summed(ac_norm_layers(network).values())
        loss, optimizer = ClassificationLoss(target), OPTIMIZER(network.parameters(), lr=how.lr)
        for positions, batch in _steps(source, images, how):
            total, weight = loss(network(source.task.normalise(batch.to(device))), images.targets[positions].to(device))
            optimizer.zero_grad()
            (total / weight.clamp_min(1e-12)).backward()
            optimizer.step()
    layers = ac_norm_layers(network)
    moved = math.sqrt(sum(float((layer_affine(layer) - before[name]).square().sum()) for name, layer in layers.items()))
    if not math.isfinite(moved):
        raise UserError(f"its training diverged at the learning rate {how.lr:g}: try a smaller one by --ac_corr_lr")
    value, per_channel = summed(layers.values())
    return Correlation(value, per_channel, baseline, moved)


def prepared(network: nn.Module, carried: Collection[str], outputs: int) -> nn.Module:
    """A copy that is ready to train: a fresh head, and AC-Norm wherever scale and shift came from the source.

    Args:
        network: as it is.
        carried: names of its tensors that came from the source.
        outputs: of the new head.

    Raises:
        UserError: there is no such layer.
    """
    names = [
        name
        for name, layer in batch_norm_layers(network).items()
        if layer.affine and {f"{name}.weight", f"{name}.bias"} <= set(carried)
    ]
    if not names:
        has = "its BatchNorm layers are drawn" if batch_norm_layers(network) else "no BatchNorm"
        raise UserError(f"{has}: AC-Corr needs pretrained scale and shift")
    fresh: Any = copy.deepcopy(network)
    fresh.reset_classifier(outputs)
    return convert_ac_norm(fresh.requires_grad_(True).train(), names, reference=True)


def summed(layers: Iterable[ACNorm]) -> tuple[float, float]:
    """Sum of the correlation and the same for each channel, both averaged over layers."""
    found = [(layer.correlation().double().sum().item(), len(layer.source_weight)) for layer in layers]
    return sum(s for s, _ in found) / len(found), sum(s / channels for s, channels in found) / len(found)


def layer_affine(layer: ACNorm) -> Tensor:
    """Scale and shift of the target (2, channels), float64."""
    return torch.stack([layer.bn.weight, layer.bn.bias]).detach().double().clone()


def order_of(how: Training, images: Images) -> list[np.ndarray]:
    """Positions of the images in each batch, epoch after epoch in a new order; the same for all candidates."""
    rng, size = np.random.default_rng(how.seed), min(images.data.batch_size, len(images))
    each = max(1, len(images) // size)  # a last batch of few would have statistics of few
    steps = each if how.steps == EPOCH else int(how.steps)
    epochs = [rng.permutation(len(images))[: each * size].reshape(each, size) for _ in range(-(-steps // each))]
    return list(islice((batch for epoch in epochs for batch in epoch), steps))


def _steps(source: Source, images: Images, how: Training) -> Iterable[tuple[np.ndarray, Tensor]]:
    order = order_of(how, images)
    return images.batches(source.size, np.concatenate(order))
