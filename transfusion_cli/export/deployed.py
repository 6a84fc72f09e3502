"""A network with what stands before and after it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.export.preprocessing import Preprocessing
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.targets import Target

OUTPUTS = ("logits", "probabilities", "calibrated")
"""Names of what it gives; the last where validation calibrated it."""


class Deployed(nn.Module):
    """From grey levels to probabilities: normalisation, the network, and what its logits mean.

    Args:
        network: takes normalised images.
        target: what the logits mean.
        preprocessing: channels, mean and standard deviation.
        decisions: of the run's validation.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(
        self, network: nn.Module, target: Target, preprocessing: Preprocessing, decisions: Decisions | None = None
    ) -> None:
        super().__init__()
        self.network, self.target = network, target
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, -1, 1, 1))
        self.repeats = len(preprocessing.mean) if preprocessing.channels == 1 else 1
        affine: Any = None if decisions is None else decisions.affine()
        self.calibrates = affine is not None
        if affine is not None:
            scale, shift = (torch.as_tensor(value, dtype=torch.float32).reshape(1, -1) for value in affine)
            self.register_buffer("scale", scale)
            self.register_buffer("shift", shift)
        self.eval().requires_grad_(False)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives, in order."""
        return OUTPUTS if self.calibrates else OUTPUTS[:2]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K), probabilities (B, L) and, where there are any, calibrated ones.

        Args:
            image: (B, C, H, W), float32 from 0 to 255.
        """
        x = image / 255
        if self.repeats > 1:
            x = x.expand(-1, self.repeats, -1, -1)
        logits = self.network((x - self.mean) / self.std)
        given = logits, chances(self.target, logits)
        return (*given, chances(self.target, logits * self.scale + self.shift)) if self.calibrates else given


def chances(target: Target, logits: Tensor) -> Tensor:
    """Probabilities as of ``metrics.probabilities``, in the logits' own precision and by operations that export.

    Args:
        target: the kind of target.
        logits: (B, K).
    """
    match target:
        case "multiclass":
            return logits.softmax(dim=1)
        case "ordinal":
            certain = torch.ones_like(logits[:, :1])
            exceeds = F.logsigmoid(logits).cumsum(dim=1).exp()  # ONNX has sums along an axis, no products
            return torch.cat([certain, exceeds], dim=1) - torch.cat([exceeds, 0 * certain], dim=1)
        case _:
            return logits.sigmoid()
