"""Small networks for tests of the analysis, and batches that count how often they are read."""

import torch
from support.networks import randomised
from torch import nn

from transfusion_cli.analysis.subject import Subject


def subject(name: str = "a", seed: int = 0, backbone: str = "cifar_resnet20") -> Subject:
    """A pretrained-looking network in evaluation mode; images come as floats in [0, 1]."""
    network = randomised(backbone, seed).eval().requires_grad_(False)
    return Subject(name, network, lambda images: (images - 0.5) / 0.25)


class CountingLoader:
    """Random batches, with the number of passes and of batches read."""

    def __init__(self, batches: int = 3, size: int = 8, side: int = 32) -> None:
        draws = torch.Generator().manual_seed(0)
        self.batches = [
            {
                "image": torch.rand(size, 3, side, side, generator=draws),
                "target": torch.randint(0, 2, (size, 1), generator=draws).float(),
                "index": torch.arange(size) + size * number,
            }
            for number in range(batches)
        ]
        self.read = 0

    def __iter__(self):
        for batch in self.batches:
            self.read += 1
            yield batch


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all tensors, buffers included."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(before: dict[str, torch.Tensor], network: nn.Module) -> bool:
    """Whether every tensor is bit-identical."""
    return all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


def hooks(network: nn.Module) -> int:
    """How many hooks are on the network."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())
