"""Reading cases of volumes that were prepared."""

from __future__ import annotations

import numpy as np

from transfusion_cli.data.masks.case import Case
from transfusion_cli.data.volumes.reader import VolumeReader
from transfusion_cli.data.volumes.store import VolumeStore


class PreparedReader(VolumeReader):
    """Reads patches and cases from a store: of a patch no more than its own voxels.

    Args:
        store: holds them.
        rows: cases that will be asked for.

    Raises:
        UserError: one is not in the store, or was made from other files.
    """

    def __init__(self, store: VolumeStore, rows: np.ndarray) -> None:
        super().__init__(store.files, store.preprocessing)
        self.cases = store.open(rows)

    def read(self, row: int) -> Case:
        """Read a case from the store."""
        return self.cases[row].whole()

    def shape(self, row: int) -> tuple[int, ...]:
        """S of a case."""
        return tuple(self.cases[row].shape[1:])

    def patch(self, row: int, start: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """A part of a case, read from the maps of its files."""
        return self.cases[row].patch(start, size, self.background)

    def foreground(self, row: int) -> dict[int, np.ndarray]:
        """Voxels of each class that a case has."""
        return self.cases[row].foreground()
