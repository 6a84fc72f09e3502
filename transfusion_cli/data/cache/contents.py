"""What a cache of decoded images holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.transform.resize import ResizeMode


@dataclass(frozen=True)
class Contents:
    """All that a cache has to know of a data module.

    Args:
        name: What people call the data.
        samples: Table of all samples.
        rows: Its rows that belong to the cache, in order (n,).
        make_reader: Makes what reads the images of a split at a size.
        resize: How images get to the size of the cache.
        channels: 1 or 3.
    """

    name: str
    samples: SampleTable
    rows: np.ndarray
    make_reader: Callable[[Split, tuple[int, int] | None], Reader]
    resize: ResizeMode
    channels: int
