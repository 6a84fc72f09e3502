"""Features and labels that scores of transferability look at."""

import torch
from torch import Tensor

from transfusion_cli.transferability.scores.sample import Sample


def sampled(
    n: int = 60, dimensions: int = 6, classes: int = 3, seed: int = 0, apart: float = 1.0, source: int = 5
) -> Sample:
    """Gaussian classes of about as many images, two images a patient, and a head that is half right about them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(n) % classes
    spread = normal(dimensions, dimensions) / dimensions**0.5 + torch.eye(dimensions)
    features = normal(n, dimensions) @ spread + apart * normal(classes, dimensions)[labels] + 1
    head = (normal(n, source) + 2 * normal(classes, source)[labels]).softmax(dim=1)
    return Sample(features, labels, head, torch.arange(n) // (2 * classes) * classes + labels)
