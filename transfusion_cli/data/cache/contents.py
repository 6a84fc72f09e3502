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
        name: what people call the data.
        samples: table of all samples.
        rows: its rows that belong to the cache, in order (n,).
        make_reader: makes what reads the images of a split at a size.
        resize: how images get to the size of the cache.
        channels: 1 or 3.
    """

    name: str
    samples: SampleTable
    rows: np.ndarray
    make_reader: Callable[[Split, tuple[int, ...] | None], Reader]
    resize: ResizeMode
    channels: int
