"""Many variants of a network on the same batches, each batch read once."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from transfusion_cli.analysis.subject import Batch


@torch.no_grad()
def predict_all(
    variants: Mapping[str, Callable[[Tensor], Tensor]], batches: Iterable[Batch], device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], Tensor]:
    """Logits of every variant, (N, outputs) on the CPU, and the targets.

    Args:
        variants: by name, what makes logits of a batch of images.
        batches: read once, in order.
        device: where the networks are.
    """
    logits: dict[str, list[Tensor]] = {name: [] for name in variants}
    targets = []
    for batch in batches:
        images = batch["image"].to(device)
        targets.append(batch["target"])
        for name, variant in variants.items():
            logits[name].append(variant(images).float().cpu())
    return {name: torch.cat(parts) for name, parts in logits.items()}, torch.cat(targets)
