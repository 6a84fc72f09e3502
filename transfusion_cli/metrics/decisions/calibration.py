"""What makes a probability of one label's logit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

Method = Literal["none", "temperature", "platt", "isotonic"]


@dataclass(frozen=True)
class Calibration:
    """Scale and shift of a logit, or, of isotonic calibration, a monotone line through points.

    Args:
        method: by which it was fitted; ``none`` leaves the probability what it was.
        scale: of the logit, above 0; 1 / temperature.
        shift: added to it.
        knots: of isotonic calibration, logits in ascending order with their probabilities.
        why: why there is none.
    """

    method: Method = "none"
    scale: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    why: str = ""

    @property
    def is_affine(self) -> bool:
        """Whether scale and shift say all."""
        return self.method != "isotonic"

    def log_odds(self, logits: Tensor) -> Tensor:
        """Calibrated log-odds of one label, float64 (N,).

        Args:
            logits: (N,).
        """
        logits = logits.detach().cpu().double()
        if self.is_affine:
            return self.scale * logits + self.shift
        x, y = np.array(self.knots).T
        return torch.from_numpy(np.interp(logits.numpy(), x, y)).logit()

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        if not self.is_affine:
            return {"method": self.method, "knots": [list(knot) for knot in self.knots]}
        return {"method": self.method, "scale": self.scale, "shift": self.shift} | (
            {"why": self.why} if self.why else {}
        )

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Self:
        """From plain data.

        Raises:
            ValueError: they are not such.
        """
        knots = tuple((float(x), float(y)) for x, y in content.get("knots", ()))
        scale, shift = float(content.get("scale", 1)), float(content.get("shift", 0))
        made = cls(content["method"], scale, shift, knots, str(content.get("why", "")))
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(knots))
        inside = all(0 < y < 1 for _, y in knots)
        known = made.method in ("none", "temperature", "platt", "isotonic")
        finite = np.isfinite([scale, shift, *(x for x, _ in knots)]).all() and scale > 0
        if not (known and finite and rising and inside) or (made.method == "isotonic") != bool(knots):
            raise ValueError(f"no calibration: {dict(content)}")
        return made
