"""What a run's validation decided beyond its weights: calibration and thresholds."""

from collections.abc import Mapping
from typing import Any, Protocol

from transfusion_cli.run_folder import RunFolder


class Decisions(Protocol):
    """What an export needs to know of them."""

    @property
    def thresholds(self) -> Mapping[str, Any]:
        """Plain data: label to the probability from which the answer is yes."""

    def affine(self) -> tuple[Any, Any] | None:
        """Scale (K,) and shift (K,) that make calibrated logits of logits; None where there is no such calibration."""


def decisions_of(run: RunFolder) -> Decisions | None:
    """What is stored in a run folder; None where there is nothing.

    The one place to connect them: runs store none yet. What comes back goes into the files as the output
    ``calibrated`` and as metadata (``calibration``, ``thresholds``).

    Args:
        run: the folder.
    """
    return None
