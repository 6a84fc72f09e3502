"""What a run started from, known by its hashes."""

import hashlib
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transfusion_cli.models.state_hash import state_hash
from transfusion_cli.models.weights_report import WeightsReport


@dataclass(frozen=True)
class BaseWeights:
    """The pretrained tensors a network was given, as hashes.

    Args:
        source: where they came from: a path, ``timm:<name>`` or ``random``.
        tensors: SHA-256 of each tensor, by state-dict name.
    """

    source: str
    tensors: dict[str, str]

    @classmethod
    def of(cls, state: dict[str, Tensor], report: WeightsReport) -> "BaseWeights":
        """Hash the tensors of ``state`` that ``report`` says were loaded."""
        return cls(report.source, {name: state_hash({name: state[name]}) for name in report.matched})

    @property
    def sha256(self) -> str:
        """One hash of all tensors, independent of file format and order."""
        lines = (f"{name} {digest}\n" for name, digest in sorted(self.tensors.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def changed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of ``state`` that are not bit-identical to the base weights."""
        return {name: tensor for name, tensor in state.items() if self.tensors.get(name) != state_hash({name: tensor})}

    def unchanged(self, state: dict[str, Tensor]) -> list[str]:
        """Names of the tensors of ``state`` that are bit-identical to the base weights."""
        changed = self.changed(state)
        return [name for name in self.tensors if name in state and name not in changed]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"source": self.source, "tensors": dict(self.tensors)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "BaseWeights":
        """The inverse of ``to_dict``."""
        return cls(data["source"], dict(data["tensors"]))
