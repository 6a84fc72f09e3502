"""What must not part in a draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transfusion_cli.data.copies import duplicate_groups
from transfusion_cli.data.samples import SampleTable


def units(table: SampleTable, folder: Path | None) -> np.ndarray:
    """Name of what must not part where no patients are known, of each sample (N,): the image and its copies.

    Copies are looked for once for a table, among its training images, which are those that a draw moves.

    Args:
        table: the samples; it remembers what was found.
        folder: folder that its paths start from.
    """
    if table.copies is None:
        table.copies = table.ids.copy()
        if table.paths is not None and folder is not None:
            rows = table.rows("train")
            table.copies[rows] = table.ids[rows][duplicate_groups(folder, table.paths[rows], table.targets[rows])]
    return table.copies
