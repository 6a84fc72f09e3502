"""Batch normalisation: finding the layers, re-estimating and checking their running statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norm_layers(network: nn.Module) -> dict[str, _BatchNorm]:
    """Every batch normalisation of the network by name, in module order.

    That is 1d, 2d and 3d, SyncBatchNorm, timm's fused BatchNormAct2d, and the layer inside each AC-Norm layer.
    """
    return {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}


def check_finite(network: nn.Module) -> str | None:
    """Name of the first layer whose running statistics hold NaN or infinity, or None."""
    for name, layer in batch_norm_layers(network).items():
        for buffer in (layer.running_mean, layer.running_var):
            if buffer is not None and not torch.isfinite(buffer).all():
                return name
    return None


@torch.no_grad()
def reestimate_statistics(
    network: nn.Module,
    batches: Iterable[Tensor],
    layers: Iterable[_BatchNorm] | None = None,
    all_reduce: Callable[[Tensor], Tensor] | None = None,
) -> int:
    """Replace running statistics by their plain average over batches (AdaBN, Li et al. 2017).

    The chosen layers normalise by batch statistics meanwhile, as in training; everything else runs in evaluation mode
    and stays bit-identical. Modes and momenta are put back.

    Args:
        network: Network whose ``forward`` takes one batch.
        batches: Inputs (B, C, H, W), normalised and on the network's device.
        layers: Layers to re-estimate; all that keep running statistics by default.
        all_reduce: Sum of a tensor over all processes; each process then gives its own share of the batches.

    Returns:
        Batches seen, over all processes.

    Raises:
        ValueError: There was no batch; nothing was changed.
    """
    chosen = [x for x in (batch_norm_layers(network).values() if layers is None else layers) if x.track_running_stats]
    stored = [{name: buffer.clone() for name, buffer in layer.named_buffers(recurse=False)} for layer in chosen]
    momenta = [layer.momentum for layer in chosen]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    for layer in chosen:
        layer.train()
        layer.momentum = None  # PyTorch's switch for the cumulative average
        layer.reset_running_stats()
    try:
        count = 0
        for batch in batches:
            network(batch)
            count += 1
        total = _pool(chosen, count, all_reduce) if all_reduce else count
        if not total:
            raise ValueError("No batches to estimate statistics from")
    except BaseException:  # an interrupt too must not leave half an average behind
        for layer, buffers in zip(chosen, stored, strict=True):
            layer.load_state_dict(buffers, strict=False)
        raise
    finally:
        for layer, momentum in zip(chosen, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes.items():
            module.training = training
    return total


def _pool(layers: list[_BatchNorm], count: int, all_reduce: Callable[[Tensor], Tensor]) -> int:
    """Average the processes' statistics, weighted by the batches each has seen."""
    total = count
    for layer in layers:
        mean, var, seen = layer.running_mean, layer.running_var, layer.num_batches_tracked
        assert mean is not None and var is not None and seen is not None
        total = int(all_reduce(seen.clone()))
        for buffer in (mean, var):
            buffer.copy_(all_reduce(buffer * count) / max(total, 1))
        seen.fill_(total)
    return total
