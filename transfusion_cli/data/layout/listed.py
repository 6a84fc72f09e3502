"""Finding what a table lists: in which folder it lies, and what is missing."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)


def which_folder(names: np.ndarray, folders: Sequence[Path]) -> np.ndarray:
    """The first folder that holds each name, int64 (N,), -1 for none: one listing a folder, no look at single files."""
    found = np.full(len(names), -1)
    for number, folder in enumerate(folders):
        found[(found < 0) & np.isin(names, np.array(os.listdir(folder), dtype=np.str_))] = number
    return found


def report_missing(names: np.ndarray, missing: np.ndarray, table: Path, exclude: Path | None) -> None:
    """Fail where listed images are not on disk; with ``exclude`` only warn, since the user leaves some out.

    Args:
        names: id of each listed image (N,).
        missing: which are not there, bool (N,).
        table: what lists them.
        exclude: the data module's file of ids to leave out, if it has one.

    Raises:
        UserError: how many are missing, and the first of them.
    """
    if not missing.any():
        return
    what = f"{missing.sum()} of {len(names)} images are missing, for example {str(names[missing.argmax()])!r}"
    if exclude is not None:
        log.warning("%s; those that %s does not name cannot be read", what, exclude)
        return
    raise UserError(
        f"{what}\nlisted in {table}\nUnpack all archives, or name the missing ids, one per line: --data.exclude FILE"
    )
