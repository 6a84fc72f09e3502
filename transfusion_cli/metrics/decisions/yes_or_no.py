"""What is told of yes-or-no questions besides their own evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from torch import Tensor

from transfusion_cli.metrics.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True, eq=False)
class YesOrNo(Evaluation):
    """Q yes-or-no questions of the cases of another evaluation, which has said how many and what they are.

    Args:
        names: of the questions.
        answers: bool (N, Q), the truth.
        known: bool (N, Q).
    """

    names: Sequence[str]
    answers: Tensor
    known: Tensor

    def support(self, metric: str) -> dict[str, int]:
        """Cases with a known answer, and positive ones."""
        name = metric.partition("/")[2] or (self.names[0] if len(self.names) == 1 else "")
        if not name:
            return {"samples": int(self.known.any(dim=1).sum())}
        at = self.names.index(name)
        known = self.known[:, at]
        return {"samples": int(known.sum()), "positives": int((self.answers[:, at] & known).sum())}

    @property
    def counts(self) -> dict[str, float]:
        """None of its own."""
        return {}

    def columns(self) -> dict[str, np.ndarray]:
        """None of its own."""
        return {}

    def truth(self) -> dict[str, np.ndarray]:
        """None of its own."""
        return {}

    def take(self, rows: Any) -> Self:
        """Some cases alone."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **(taken | {"patients": None if self.patients is None else self.patients[rows]}))
