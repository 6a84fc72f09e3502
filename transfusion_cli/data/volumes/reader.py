"""Reading cases of volumes from their files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transfusion_cli.data.masks.case import Case
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.unprepared_reader import UnpreparedReader


class VolumeReader(UnpreparedReader):
    """Reads whole cases from their files, and keeps some in memory; images are float32.

    Args:
        files: of the cases.
        preprocessing: what is made of them.
    """

    def __init__(self, files: CaseFiles, preprocessing: Preprocessing) -> None:
        super().__init__(files)
        self.preprocessing = preprocessing
        self.background = preprocessing.background

    def read(self, row: int) -> Case:
        """Read a case from its files."""
        image = self.files.image(row)
        mask, _ = self.files.mask(row, image)
        case = self.preprocessing.apply(image, mask)
        return replace(case, image=case.image.astype(np.float32))
