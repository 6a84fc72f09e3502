"""What networks make of images, kept: the features that a layer gives for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.analysis.taps import Taps


@dataclass(frozen=True)
class Features:
    """Pooled activations of N images.

    Args:
        layers: (N, C) by network and layer, float32 on the CPU.
        targets: as the data give them.
        index: (N,), which sample.
    """

    layers: dict[tuple[str, str], Tensor]
    targets: Tensor
    index: Tensor


@torch.no_grad()
def collect_features(
    subjects: Sequence[Subject],
    layers: Mapping[str, Sequence[str]],
    batches: Iterable[Batch],
    device: torch.device | str = "cpu",
) -> Features:
    """Run all networks over the batches, each read once.

    Args:
        subjects: the networks.
        layers: layers of each, by its name.
        batches: the images.
        device: where the networks are.
    """
    found: dict[tuple[str, str], list[Tensor]] = {}
    targets, index = [], []
    for batch in batches:
        images = batch["image"].to(device)
        targets.append(batch["target"])
        index.append(batch["index"])
        for subject in subjects:
            with Taps(subject.network, layers[subject.name], positions=1) as taps:
                subject(images)
                for layer, activation in taps.take().items():
                    found.setdefault((subject.name, layer), []).append(activation.pooled.float().cpu())
    return Features({key: torch.cat(parts) for key, parts in found.items()}, torch.cat(targets), torch.cat(index))
