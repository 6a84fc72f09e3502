"""Cases of volumes as their files have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.volumes.case_files import CaseFiles


class UnpreparedReader(CaseReader):
    """Reads whole cases in their own grid, with the values of their files.

    Args:
        files: of the cases.
    """

    def __init__(self, files: CaseFiles) -> None:
        super().__init__()
        self.files = files

    def read(self, row: int) -> Case:
        """Read a case from its files."""
        image = self.files.image(row)
        mask, moved = self.files.mask(row, image)
        return replace(Case.plain(image.array, mask), spacing=image.spacing, moved=moved)

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask in the geometry and the format of the case's image; that of a DICOM series as NIfTI."""
        return self.files.write(row, labels, folder)
