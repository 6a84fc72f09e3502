"""Samples that an option leaves out of a table: those of a list, and training samples beyond a share or a number."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)


def leave_out(table: SampleTable, file: Path | None) -> None:
    """Take the samples that a file names, the id of one per line, out of their splits, in place.

    Raises:
        UserError: no such file.
    """
    if file is None:
        return
    if not file.is_file():
        raise UserError(f"exclude: no file {file}\nIt should hold the id of one sample per line.")
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    out = np.isin(table.ids, names)
    table.split[out] = ""
    log.info("exclude: %d of %d samples are left out (%d names in the file)", out.sum(), len(out), len(names))


def take_subset(table: SampleTable, whole: SampleTable, fraction: float, size: int | None, seed: int) -> None:
    """Keep some training samples, in place: the first in an order of all that there are, those left out included.

    Args:
        table: the samples.
        whole: all that there are.
        fraction: share of the training samples to keep.
        size: how many, in place of ``fraction``.
        seed: of the order.

    Raises:
        UserError: ``size`` is more than there are.
    """
    rows = table.rows("train")
    if size is not None and size > len(rows):
        raise UserError(f"train_size {size} is more than the {len(rows)} samples of the training split")
    size = round(fraction * len(rows)) if size is None else size
    if size < len(rows):
        ids = whole.training_order(seed)
        table.train_on(ids[np.isin(ids, table.ids[rows])][: max(1, size)])
