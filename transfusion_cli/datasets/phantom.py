"""Chest radiographs that the package draws itself."""

from typing import Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.phantoms.images import PhantomRadiograph, PhantomReader
from transfusion_cli.phantoms.patient import FINDINGS
from transfusion_cli.targets import Target

SMALLEST = 8
"""Pixels of the side of a radiograph with anything on it."""


class PhantomDataModule(MedicalDataModule):
    """Chest radiographs of phantom patients with five findings, drawn in memory at the size of the network.

    Source: drawn by the program
    Group: patient

    Patients differ in build and illness and keep both over their images; pose, breath, exposure and noise change from
    image to image. Findings (enlarged heart, pleural effusion, consolidation, nodule, pneumothorax) range from barely
    visible to plain and partly come together. Nothing is read and nothing is written.

    Args:
        patients: patients for training and validation.
        test_patients: further patients, for the test.
        images_per_patient: radiographs of each patient.
        anatomy_seed: number of the population: another number, other patients. The order of training does not depend
            on it, see ``seed``.
        batch_size: samples per optimizer step, over all processes together.
        num_workers: processes that load images; the images lie in memory, so 0 is fastest.
        val_fraction: share of ``patients`` held out for validation.
        kwargs: as for ``MedicalDataModule``.
    """

    target: Target = "multilabel"
    class_names = list(FINDINGS)
    in_chans = 1

    def __init__(
        self,
        patients: int = 400,
        test_patients: int = 200,
        images_per_patient: int = 3,
        anatomy_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        val_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=None, batch_size=batch_size, num_workers=num_workers, val_fraction=val_fraction, **kwargs)
        ranges = Ranges()
        ranges.least("patients", patients, 2)
        ranges.least("test_patients", test_patients, 1)
        ranges.least("images_per_patient", images_per_patient, 1)
        ranges.least("anatomy_seed", anatomy_seed, 0)
        ranges.settle()
        self.patients, self.test_patients, self.images_per_patient = patients, test_patients, images_per_patient
        self.anatomy_seed = anatomy_seed
        self._reader: PhantomReader | None = None

    def load_samples(self) -> SampleTable:
        """Decide on all patients and images; pixels are drawn when a loader asks for them."""
        numbers = [(p, i) for p in range(self.patients + self.test_patients) for i in range(self.images_per_patient)]
        table = SampleTable(
            ids=as_text(f"phantom{p:05d}_{i}" for p, i in numbers),
            targets=np.stack([PhantomRadiograph(self.anatomy_seed, p, i).labels for p, i in numbers]),
            split=np.array(["train" if p < self.patients else "test" for p, _ in numbers]),
            patients=as_text(f"phantom{p:05d}" for p, _ in numbers),
        )
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """Draw images of any split at a size, that of the network if None.

        Raises:
            UserError: nothing could be seen at that size.
        """
        size = size or self.size
        if min(size) < SMALLEST:
            raise UserError(f"Phantoms need {SMALLEST} pixels at least, got {size}\nTry --data.image_size 64")
        if self._reader is None or self._reader.size != max(size):
            self._reader = PhantomReader(self.anatomy_seed, self.images_per_patient, max(size))
        return self._reader
