"""Whether exported files do what the run did."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from transfusion_cli.errors import UserError

TOLERANCE = 1e-5
"""Of probabilities; of logits in units of the largest, or of 1 where all are smaller. Rounding is about a tenth."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Images, and what the run's network gave of them before anything was folded.

    Args:
        images: (N, C, H, W), float32 from 0 to 255.
        logits: (N, K).
        probabilities: float64 (N, L).
        split: where the images are from; None for random ones.
    """

    images: Tensor
    logits: Tensor
    probabilities: Tensor
    split: str | None

    def agree(self, logits: Any, probabilities: Any = None) -> float:
        """See that a file gives the same.

        Args:
            logits: (N, K), of the file.
            probabilities: (N, L), where it gives them.

        Returns:
            The largest difference, of logits in the units of ``TOLERANCE``.

        Raises:
            UserError: something differs by more than ``TOLERANCE``.
        """
        unit = max(1.0, self.logits.abs().max().item())
        found = {"logits": _largest(self.logits, logits) / unit}
        if probabilities is not None:
            found["probabilities"] = _largest(self.probabilities, probabilities)
        for what, difference in found.items():
            if not difference <= TOLERANCE:  # NaN is no agreement
                raise UserError(
                    f"The exported network gives other {what} than the run: they differ by up to {difference:.1e}, and "
                    f"{TOLERANCE:.0e} is allowed.\nNothing was written. Try another format: transfusion export --help"
                )
        return max(found.values())

    def first(self, number: int) -> "Reference":
        """The same of the first images alone."""
        return replace(
            self,
            images=self.images[:number],
            logits=self.logits[:number],
            probabilities=self.probabilities[:number],
        )

    @property
    def told(self) -> str:
        """The images in words."""
        many = len(self.images)
        return f"{many} random images" if self.split is None else f"{many} images of the run's {self.split} split"


def _largest(run: Tensor, file: Any) -> float:
    file = torch.as_tensor(file)
    if file.shape != run.shape:
        return float("nan")
    return float((run.double() - file.double()).abs().max())
