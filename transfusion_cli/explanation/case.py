"""One image to be explained, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Case:
    """An image.

    Args:
        id: of the sample.
        image: (C, H, W), before normalisation.
        target: its labels, as a row of the data's table.
        truth: the same in words.
        label: number of the class or label to explain; None for what the network decides for.
        group: what is wrong with it, where it is an error.
    """

    id: str
    image: Tensor
    target: Tensor
    truth: str
    label: int | None = None
    group: str = ""


@dataclass(frozen=True, eq=False)
class Explained:
    """A case with its maps, each (h, w) and nowhere negative.

    Args:
        case: the image.
        label: name of the class or label that is explained.
        probability: of that label.
        map: what speaks for it.
        true: name and map of the class that it belongs to, where that is another.
        redrawn: the map after one draw, by level of randomisation.
        correlation: by level, the mean over draws of the rank correlation with ``map``; NaN where a map is even.
    """

    case: Case
    label: str
    probability: float
    map: np.ndarray
    true: tuple[str, np.ndarray] | None
    redrawn: dict[str, np.ndarray]
    correlation: dict[str, float]
