"""Weights files that look pretrained: BatchNorm with statistics and affine far from their defaults."""

from pathlib import Path

import timm
import torch
from torch import nn

import transfusion_cli.models  # noqa: F401 (registers our backbones)


def randomised(name: str = "cifar_resnet20", seed: int = 0, **kwargs) -> nn.Module:
    """A timm network whose BatchNorm layers carry random affine and statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return draw_batch_norm(timm.create_model(name, num_classes=10, **kwargs))


def draw_batch_norm(network: nn.Module) -> nn.Module:
    """Draw affine and statistics of a network's BatchNorm layers, in place."""
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            layer.num_batches_tracked.fill_(100)
    return network


def source_file(folder: Path, name: str = "cifar_resnet20", seed: int = 0) -> str:
    """Save such a network's weights; the path."""
    path = folder / f"{name}_{seed}.pth"
    if not path.exists():
        torch.save(randomised(name, seed).state_dict(), path)
    return str(path)
