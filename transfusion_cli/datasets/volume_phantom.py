"""Abdominal CT that the package draws itself, with the liver and its lesions as masks."""

from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.volumes.base import VolumeDataModule
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.nifti import write_nifti
from transfusion_cli.data.volumes.volume import Volume
from transfusion_cli.phantoms.abdomen import ORGANS, AbdomenPhantom

SHAPE = (48, 64, 64)
"""Voxels of a phantom along z, y and x."""


class VolumePhantomDataModule(VolumeDataModule):
    """Abdominal CT of phantom patients, drawn in memory: 48 x 64 x 64 voxels of 5 to 7.5 by 5 by 5 mm.

    Source: drawn by the program
    Group: patient, of one volume
    Classes: liver, lesion

    Patients differ in size, fat, organs and contrast, volumes in spacing and noise. Nothing is told by its brightness
    alone: the spleen is as bright as the liver, cysts of the kidneys are as dark as the lesions, of which seven
    patients in ten have one to four. Nothing is read and nothing is written.

    Args:
        patients: patients for training and validation.
        test_patients: further patients, for the test.
        anatomy_seed: number of the population: another number, other patients. The order of training does not depend
            on it, see ``seed``.
        batch_size: patches per optimizer step, over all processes together.
        num_workers: processes that load patches; the volumes lie in memory, so 0 is fastest.
        patch_size: as for ``MaskDataModule``.
        val_fraction: share of ``patients`` held out for validation.
        kwargs: as for ``VolumeDataModule``.
    """

    class_names = list(ORGANS)
    in_chans = 1

    def __init__(
        self,
        patients: int = 40,
        test_patients: int = 20,
        anatomy_seed: int = 0,
        batch_size: int = 8,
        num_workers: int = 0,
        patch_size: int | list[int] | None = 32,
        val_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        given: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers, "patch_size": patch_size}
        super().__init__(root=None, val_fraction=val_fraction, **given, **kwargs)
        ranges = Ranges()
        ranges.least("patients", patients, 2)
        ranges.least("test_patients", test_patients, 1)
        ranges.least("anatomy_seed", anatomy_seed, 0)
        ranges.settle()
        self.patients, self.test_patients, self.anatomy_seed = patients, test_patients, anatomy_seed
        self._drawn: _Drawn | None = None

    @property
    def modality(self) -> str:
        """Values are Hounsfield units."""
        return "CT"

    def load_samples(self) -> SampleTable:
        """Decide on all patients; volumes are drawn when they are asked for."""
        numbers = np.arange(self.patients + self.test_patients)
        ids = as_text(f"abdomen{number:05d}" for number in numbers)
        split = np.where(numbers < self.patients, "train", "test")
        table = SampleTable(ids, np.full(len(ids), -1), split, patients=ids, masks=ids)
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def case_files(self, table: SampleTable, folder: Path | None = None) -> CaseFiles:
        """In place of files, what draws the volumes of all splits, each once."""
        if folder is not None:
            return super().case_files(table, folder)
        if self._drawn is None:
            self._drawn = _Drawn(self.anatomy_seed, table.ids, self.labels)
        return self._drawn


class _Drawn(CaseFiles):
    """Draws the volume of a row of the sample table, that patient's, and keeps it.

    Args:
        seed: number of the population.
        ids: of the cases (N,).
        labels: as for ``CaseFiles``.
    """

    def __init__(self, seed: int, ids: np.ndarray, labels: dict[int, int]) -> None:
        super().__init__(Path(), ids, ids[:, None], ids, channels=1, labels=labels)
        self.seed = seed
        self.drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def image(self, row: int) -> Volume:
        """A volume whose file would run to the left, the back and the top."""
        return Volume.of(self._both(row)[0].T[None], self._affine(row))

    def mask(self, row: int, image: Volume) -> tuple[np.ndarray | None, bool]:
        """The mask, which lies where the image does."""
        return self._both(row)[1], False

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask as NIfTI."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.ids[row]}.nii.gz"
        write_nifti(path, np.ascontiguousarray(labels.T), None, self._affine(row))
        return path

    def _both(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        if row not in self.drawn:
            self.drawn[row] = AbdomenPhantom(self.seed, row, SHAPE).draw()
        return self.drawn[row]

    def _affine(self, row: int) -> np.ndarray:
        z, y, x = AbdomenPhantom(self.seed, row, SHAPE).spacing
        return np.diag([-x, -y, z, 1.0])
